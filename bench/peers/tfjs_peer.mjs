// TensorFlow.js' side of the benchmarks, on its 'cpu' back end: one LeNet step with batch norm.
import { createInterface } from 'node:readline';
import * as tf from '@tensorflow/tfjs';

await tf.setBackend('cpu');
const norm = () => tf.layers.batchNormalization({ momentum: 0.9, epsilon: 1e-5 });
const act = () => tf.layers.activation({ activation: 'sigmoid' });
function prepare(work) {
  const [name, batch] = work.split(':');
  if (name !== 'lenet_step') throw new Error(`unknown work ${name}`);
  const n = Number(batch);
  const model = tf.sequential({
    layers: [
      tf.layers.conv2d({ inputShape: [28, 28, 1], filters: 6, kernelSize: 5, padding: 'same' }),
      norm(),
      act(),
      tf.layers.averagePooling2d({ poolSize: 2 }),
      tf.layers.conv2d({ filters: 16, kernelSize: 5 }),
      norm(),
      act(),
      tf.layers.averagePooling2d({ poolSize: 2 }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 120 }),
      norm(),
      act(),
      tf.layers.dense({ units: 84 }),
      norm(),
      act(),
      tf.layers.dense({ units: 10 }),
    ],
  });
  const optimizer = tf.train.sgd(1);
  const x = tf.randomNormal([n, 28, 28, 1]);
  const labels = tf.oneHot(tf.randomUniform([n], 0, 10, 'int32'), 10);
  return () =>
    tf.tidy(() => {
      const loss = optimizer.minimize(
        () => tf.losses.softmaxCrossEntropy(labels, model.apply(x, { training: true })),
        true,
      );
      loss.dataSync();
    });
}

let run;
for await (const line of createInterface({ input: process.stdin })) {
  if (line.startsWith('prepare')) {
    run = prepare(line.split(' ')[1]);
    console.log(JSON.stringify({ version: tf.version.tfjs }));
    continue;
  }
  const budget = Number(line.split(' ')[1]);
  const times = [];
  for (let spent = 0; spent < budget || times.length === 0; spent += times.at(-1)) {
    const start = performance.now();
    run();
    times.push(performance.now() - start);
  }
  console.log(JSON.stringify(times));
}

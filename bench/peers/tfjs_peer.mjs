// TensorFlow.js' side of the benchmarks, on the back end that is named, 'cpu' or 'wasm'.
import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-wasm';
import { channelsLast, serve } from './serve.mjs';

await tf.setBackend(process.argv[2]);
const { layers } = tf;
const norm = () => layers.batchNormalization({ momentum: 0.9, epsilon: 1e-5 });
const act = (activation = 'relu') => layers.activation({ activation });

const lenet = () =>
  tf.sequential({
    layers: [
      layers.conv2d({ inputShape: [28, 28, 1], filters: 6, kernelSize: 5, padding: 'same' }),
      norm(),
      act('sigmoid'),
      layers.averagePooling2d({ poolSize: 2 }),
      layers.conv2d({ filters: 16, kernelSize: 5 }),
      norm(),
      act('sigmoid'),
      layers.averagePooling2d({ poolSize: 2 }),
      layers.flatten(),
      layers.dense({ units: 120 }),
      norm(),
      act('sigmoid'),
      layers.dense({ units: 84 }),
      norm(),
      act('sigmoid'),
      layers.dense({ units: 10 }),
    ],
  });

function resnet18(classes) {
  const conv = (filters, kernelSize, strides) =>
    layers.conv2d({ filters, kernelSize, strides, padding: 'same', useBias: false });
  const chain = (x, ...made) => made.reduce((y, layer) => layer.apply(y), x);
  const input = tf.input({ shape: [224, 224, 3] });
  let x = chain(
    input,
    conv(64, 7, 2),
    norm(),
    act(),
    layers.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same' }),
  );
  let inside = 64;
  for (const filters of [64, 64, 128, 128, 256, 256, 512, 512]) {
    const stride = filters === inside ? 1 : 2;
    const body = chain(x, conv(filters, 3, stride), norm(), act(), conv(filters, 3, 1), norm());
    const shortcut = stride === 1 ? x : chain(x, conv(filters, 1, stride), norm());
    x = chain(layers.add().apply([body, shortcut]), act());
    inside = filters;
  }
  return tf.model({
    inputs: input,
    outputs: chain(x, layers.globalAveragePooling2d({}), layers.dense({ units: classes })),
  });
}

const networks = { lenet, resnet18 };

function train(network, shape, classes) {
  const model = networks[network](Number(classes));
  const [n, ...size] = channelsLast(shape);
  const optimizer = tf.train.momentum(0.01, 0.9);
  const x = tf.randomNormal([n, ...size]);
  const labels = tf.oneHot(tf.randomUniform([n], 0, Number(classes), 'int32'), Number(classes));
  return () =>
    tf.tidy(() => {
      const loss = optimizer.minimize(
        () => tf.losses.softmaxCrossEntropy(labels, model.apply(x, { training: true })),
        true,
      );
      loss.dataSync();
    });
}

function inference(network, shape, classes) {
  const model = networks[network](Number(classes));
  const x = tf.randomNormal(channelsLast(shape));
  return () => tf.tidy(() => model.predict(x).dataSync());
}

/** Forward and backward of a batch norm by the batch's statistics. */
function batchNorm(shape) {
  const size = channelsLast(shape);
  const c = size.at(-1);
  const [x, dy, weight, bias] = [tf.randomNormal(size), tf.randomNormal(size), tf.ones([c]), tf.zeros([c])];
  const backward = tf.grads((x, weight, bias) => {
    const { mean, variance } = tf.moments(x, [0, 1, 2]);
    return tf.batchNorm(x, mean, variance, bias, weight, 1e-5);
  });
  return () => tf.tidy(() => backward([x, weight, bias], dy).map((gradient) => gradient.dataSync()));
}

const works = { train, inference, batch_norm: batchNorm };
await serve(tf.version.tfjs, (name, ...args) => works[name](...args));

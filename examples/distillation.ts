// Knowledge distillation (Hinton et al. 2015): a small network learns from labels, and from what a large one says of
// all classes at a raised temperature.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { manualSeed, noGrad, type Tensor } from 'evenkeel';
import { DataLoader, TensorDataset } from 'evenkeel/data';
import * as nn from 'evenkeel/nn';
import { Adam, type Optimizer } from 'evenkeel/optim';
import { digits } from './data/images.ts';

const F = nn.functional;

export const makeTeacher = () =>
  new nn.Sequential(
    new nn.Flatten(),
    new nn.Linear(784, 400),
    new nn.BatchNorm1d(400),
    new nn.ReLU(),
    new nn.Dropout(0.2),
    new nn.Linear(400, 10),
  );
export const makeStudent = () =>
  new nn.Sequential(new nn.Flatten(), new nn.Linear(784, 16), new nn.ReLU(), new nn.Linear(16, 10));

/** The teacher is in evaluation mode. */
export function trainStep(
  student: nn.Sequential,
  teacher: nn.Sequential,
  optimizer: Optimizer,
  images: Tensor,
  labels: Tensor,
  { temperature = 4, share = 0.7 } = {},
): Tensor {
  const soft = noGrad(() => teacher(images).div(temperature).softmax(1));
  optimizer.zeroGrad();
  const logits = student(images);
  const fromTeacher = F.klDiv(logits.div(temperature).logSoftmax(1), soft, { reduction: 'batchmean' });
  // Gradients of softened probabilities shrink with the square of the temperature.
  const loss = fromTeacher.mul(share * temperature ** 2).add(F.crossEntropy(logits, labels).mul(1 - share));
  loss.backward();
  optimizer.step();
  return loss;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  manualSeed(0);
  const loader = new DataLoader(new TensorDataset(...digits(4096)), { batchSize: 64, shuffle: true });
  const [images, labels] = digits(1000, 'test');
  const correct = (model: nn.Sequential): number => {
    model.eval();
    return noGrad(() => model(images).argmax(1).eq(labels).sum().item());
  };

  const teacher = makeTeacher();
  const ofTeacher = new Adam(teacher.parameters());
  for (let epoch = 1; epoch <= 3; epoch++)
    for (const [x, y] of loader) {
      ofTeacher.zeroGrad();
      F.crossEntropy(teacher(x), y).backward();
      ofTeacher.step();
    }
  const taught = correct(teacher);

  const student = makeStudent();
  const ofStudent = new Adam(student.parameters());
  for (let epoch = 1; epoch <= 3; epoch++) for (const [x, y] of loader) trainStep(student, teacher, ofStudent, x, y);
  const learned = correct(student);
  console.log(`of 1000 digits the teacher knows ${taught}, the student ${learned}`);
  assert(taught > 900 && learned > 800);
}

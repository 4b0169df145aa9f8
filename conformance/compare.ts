// Holds what the library gave against what PyTorch gave: outputs, gradients for random cotangents, and their gradients.
import { grad, Tensor } from '../src/index.ts';
import { argumentOf, type Data, type Expected, isTensorData, type TensorData, tensorOf } from './case.ts';
import { type Bars, difference, magnitudeOf } from './judge.ts';
import { Found, flatOutputs, words } from './verdict.ts';

/** @throws Found where they differ. */
export function compareOne(
  aspect: string,
  got: unknown,
  expected: Data | undefined,
  truth: Data | undefined,
  bars: Partial<Bars> = {},
): void {
  if (expected === undefined) return;
  const { isElementwise = false, looseness = 1, least = 0 } = bars;
  let problem: string | null;
  if (isTensorData(expected))
    problem = difference(got, expected, isTensorData(truth) ? truth : null, { isElementwise, looseness, least });
  else {
    const value = expected === null ? null : argumentOf(expected);
    problem = Object.is(value, got) || value === got ? null : `expected ${words(value)}, got ${words(got)}`;
  }
  if (problem !== null) throw new Found('differs', aspect, problem);
}

const isZero = (t: Tensor) => t.dataSync().every((v: number | bigint) => Number(v) === 0);

/** Where one side has no gradient and the other zeros, they agree: both leave a sum of gradients as it is. */
function compareGradient(
  aspect: string,
  got: Tensor | null,
  expected: TensorData | null,
  truth: TensorData | null | undefined,
  bars: Bars,
): void {
  if (expected === null) {
    if (got && !isZero(got)) throw new Found('differs', aspect, `expected no gradient, got ${words(got)}`);
  } else if (!got) {
    if (!isZero(tensorOf({ ...expected, grad: false })))
      throw new Found('differs', aspect, `expected a gradient of shape [${expected.shape}], got none`);
  } else compareOne(aspect, got, expected, truth, bars);
}

/** `inputs`: all tensors that PyTorch differentiated, in its order. */
export function compare(result: unknown, inputs: readonly Tensor[], expected: Expected, isElementwise: boolean): void {
  const outputs = flatOutputs(result);
  const { truth } = expected;
  const wanted = expected.outputs!;
  if (outputs.length !== wanted.length)
    throw new Found('differs', 'outputs', `expected ${wanted.length} outputs, got ${outputs.length}`);
  wanted.forEach((one, i) => {
    compareOne(`output ${i}`, outputs[i], one, truth?.outputs?.[i], { isElementwise });
  });
  wanted.forEach((one, i) => {
    const output = outputs[i];
    const [should, does] = [isTensorData(one) && (one.grad ?? false), output instanceof Tensor && output.requiresGrad];
    if (should !== does) throw new Found('differs', `output ${i}`, `requiresGrad: expected ${should}, got ${does}`);
  });
  if (!expected.grads) return;
  const second = expected.second !== undefined;
  const roots = outputs.filter((_, i) => isTensorData(wanted[i]) && (wanted[i] as TensorData).grad) as Tensor[];
  const leaves = inputs.filter((t) => t.requiresGrad);
  const cotangents = expected.cotangents!.map((data) => tensorOf({ ...data, grad: second }));

  // A gradient is a sum of cotangents times slopes. Where those cancel, roundings of the terms stay; a slope's
  // magnitude is estimated by the whole call's, outputs over inputs.
  const size = (tensors: readonly unknown[]) => magnitudeOf(tensors, isElementwise);
  const inputSize = size(inputs) || 1;
  const slope = size(outputs) / inputSize;
  const first: Bars = { isElementwise, looseness: 2, least: size(cotangents) * slope };
  const walk = (createGraph: boolean): (Tensor | null)[] =>
    grad(roots, leaves, { gradOutputs: cotangents, allowUnused: true, createGraph, retainGraph: true });
  // The gradients of a recorded walk are computed by other code than those of a plain one, so both are looked at.
  for (const createGraph of second ? [false, true] : [false]) {
    const found = walk(createGraph);
    expected.grads.forEach((one, i) => {
      const aspect = `gradient ${i}${createGraph ? ' (createGraph)' : ''}`;
      compareGradient(aspect, found[i], one, truth?.grads?.[i], first);
    });
    if (!createGraph) continue;
    const directed = found.flatMap((t, i) =>
      t?.requiresGrad && expected.directions![i] ? [{ t, direction: tensorOf(expected.directions![i]!) }] : [],
    );
    const all = [...leaves, ...cotangents];
    const gradOutputs = directed.map(({ direction }) => direction);
    const again: (Tensor | null)[] =
      directed.length === 0
        ? all.map(() => null)
        : grad(
            directed.map(({ t }) => t),
            all,
            { gradOutputs, allowUnused: true },
          );
    const least = size(gradOutputs) * slope * Math.max(1, size(cotangents) / inputSize);
    expected.second!.forEach((one, i) => {
      compareGradient(`second gradient ${i}`, again[i], one, truth?.second?.[i], {
        isElementwise,
        looseness: 20,
        least,
      });
    });
  }
}

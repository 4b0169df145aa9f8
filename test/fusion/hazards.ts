// What may happen around a chain  first → norm → activation → consumer  while nothing of it has been written: each with fusion and without,
// which must show the same values, gradients and errors.
import { describe, expect, it } from 'vitest';
import { grad } from '../../src/autograd/backward.ts';
import { checkpoint } from '../../src/autograd/checkpoint.ts';
import { noGrad } from '../../src/autograd/grad_mode.ts';
import { withFusion } from '../../src/fusion/switch.ts';
import { freezeBatchNorm, type Module } from '../../src/nn/index.ts';
import { cast } from '../../src/ops/convert.ts';
import { add, mul, square } from '../../src/ops/elementwise.ts';
import { sum } from '../../src/ops/reduce.ts';
import { reshape } from '../../src/ops/shape_ops.ts';
import { manualSeed } from '../../src/tensor/random/index.ts';
import { scope } from '../../src/tensor/scope.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { numbers } from './patterns.ts';

export interface Chain {
  readonly first: Module;
  readonly norm: Module & { weight: Tensor | null; bias: Tensor | null };
  readonly activation: (z: Tensor) => Tensor;
  readonly consumer: (y: Tensor) => Tensor;
  readonly x: Tensor;
}

interface Steps extends Chain {
  readonly raw: Tensor;
  readonly z: Tensor;
  readonly y: Tensor;
}
/** What is looked at in the end. */
type Seen = readonly (Tensor | null)[];

const loss = (t: Tensor): Tensor => sum(square(t));
const gradients = ({ first, norm, x }: Chain): (Tensor | null)[] =>
  [...first.parameters(), norm.weight, norm.bias, x].map((t) => t?.grad ?? null);
const run = (chain: Chain): Tensor => {
  const { first, norm, activation, consumer, x } = chain;
  return consumer(activation(norm(first(x) as Tensor) as Tensor));
};

const hazards: Record<string, (s: Steps) => Seen> = {
  'a hook on what the consumer reads': (s) => {
    const seen: Tensor[] = [];
    s.y.registerHook((g) => void seen.push(g.clone()));
    loss(s.consumer(s.y)).backward();
    return [...seen, ...gradients(s)];
  },
  'a hook that changes the gradient of the norm': (s) => {
    s.z.registerHook((g) => g.mul(2));
    loss(s.consumer(s.y)).backward();
    return gradients(s);
  },
  'retained gradients': (s) => {
    for (const t of [s.raw, s.z, s.y]) t.retainGrad();
    loss(s.consumer(s.y)).backward();
    return [s.raw.grad, s.z.grad, s.y.grad, ...gradients(s)];
  },
  'a look at each in between': (s) => {
    const p = s.consumer(s.y);
    loss(p).backward();
    return [p, s.z, s.y, s.raw, ...gradients(s)];
  },
  'a view of the activation': (s) => {
    const view = reshape(s.y, [s.y.shape[0], -1]);
    add(loss(s.consumer(s.y)), sum(view)).backward();
    return [view, ...gradients(s)];
  },
  'a second consumer': (s) => {
    add(loss(s.consumer(s.y)), add(sum(mul(s.y, 0.5)), sum(s.consumer(s.z)))).backward();
    return gradients(s);
  },
  'the input of the norm changed after': (s) => {
    const p = s.consumer(s.y);
    noGrad(() => s.raw.fill_(7));
    return [p, s.y, s.z, s.raw];
  },
  'the input of the norm changed before': (s) => {
    noGrad(() => s.raw.fill_(7));
    return [s.consumer(s.y), s.y, s.z];
  },
  'parameters changed before the backward': (s) => {
    const p = s.consumer(s.y);
    noGrad(() => {
      s.norm.weight!.fill_(7);
      s.norm.bias!.fill_(-7);
    });
    const values = [p, s.y, s.z].map((t) => t.clone());
    loss(p).backward();
    return [...values, ...gradients(s)];
  },
  'a bias changed before the backward': (s) => {
    const p = s.consumer(s.y);
    noGrad(() => s.norm.bias!.fill_(-7));
    loss(p).backward();
    return gradients(s);
  },
  'what the consumer has read changed after': (s) => {
    const p = s.consumer(s.y);
    noGrad(() => s.y.detach().mul_(2));
    return [p, s.y, s.z];
  },
  'what the consumer has read changed in a recorded operation': (s) => {
    const p = s.consumer(s.y);
    s.y.mul_(2);
    add(loss(p), loss(s.y)).backward();
    return [p, ...gradients(s)];
  },
  'no gradients': (s) => {
    const p = noGrad(() => run(s));
    return [p];
  },
  'a forward without gradients before the backward': (s) => {
    const p = s.consumer(s.y);
    noGrad(() => run(s));
    loss(p).backward();
    return [p, ...gradients(s)];
  },
  'gradients of second order': (s) => {
    const p = s.consumer(s.y);
    const [dx, dz] = grad([loss(p)], [s.x, s.z], { createGraph: true });
    const second = grad([loss(dx)], [s.norm.weight!, s.x], { allowUnused: true });
    return [dx, dz, ...second];
  },
  'gradients asked for in between': (s) => grad([loss(s.consumer(s.y))], [s.raw, s.z, s.y]),
  'two backwards': (s) => {
    const p = loss(s.consumer(s.y));
    p.backward(null, { retainGraph: true });
    p.backward();
    return gradients(s);
  },
  'a norm called twice': (s) => {
    const again = s.activation(s.norm(mul(s.raw, -2)) as Tensor);
    add(loss(s.consumer(s.y)), loss(s.consumer(again))).backward();
    return gradients(s);
  },
  'another mode at the backward': (s) => {
    const p = s.consumer(s.y);
    s.norm.eval();
    loss(p).backward();
    return gradients(s);
  },
  evaluation: (s) => {
    s.norm.eval();
    const p = run(s);
    loss(p).backward();
    return [p, ...gradients(s)];
  },
  'a frozen norm': (s) => {
    freezeBatchNorm(s.norm);
    const p = run(s);
    loss(p).backward();
    return [p, ...gradients(s)];
  },
  'parameters that need no gradients': (s) => {
    for (const p of [...s.first.parameters(), ...s.norm.parameters()]) p.requiresGrad = false;
    const p = run(s);
    loss(p).backward();
    return [p, s.x.grad];
  },
  'an input that needs none': (s) => {
    s.x.requiresGrad = false;
    const p = run(s);
    loss(p).backward();
    return [p, ...gradients(s)];
  },
  'a checkpoint': (s) => {
    const p = checkpoint((x: Tensor) => run({ ...s, x }), s.x);
    loss(p).backward();
    return [p, ...gradients(s)];
  },
  'a result that outlives its scope': (s) => [scope(() => run(s))],
  'gradients that outlive the scope': (s) => {
    scope(() => loss(run(s)).backward());
    return gradients(s);
  },
};

/** Of the largest value: sums of some hundred products, in float64. */
const tolerance = 1e-10;

/** Every hazard on a chain, in float64. */
export function describeHazards(name: string, make: () => Chain): void {
  const outcome = (hazard: (s: Steps) => Seen, fused: boolean): (number[] | string | null)[] =>
    withFusion(fused, () => {
      manualSeed(5);
      const made = make();
      for (const module of [made.first, made.norm]) module.to('float64');
      const chain = { ...made, x: cast(made.x, 'float64').requiresGrad_() };
      const raw = chain.first(chain.x) as Tensor;
      const z = chain.norm(raw) as Tensor;
      try {
        return hazard({ ...chain, raw, z, y: chain.activation(z) }).map((t) => t && numbers(t));
      } catch (error) {
        return [String(error)];
      }
    });
  describe(name, () => {
    it.each(Object.keys(hazards))('%s', (hazard) => {
      const [fused, plain] = [true, false].map((on) => outcome(hazards[hazard], on));
      expect(fused).toHaveLength(plain.length);
      for (const [i, expected] of plain.entries()) {
        const actual = fused[i];
        if (typeof expected === 'string' || expected === null || typeof actual === 'string' || actual === null) {
          expect(actual).toEqual(expected);
          continue;
        }
        const scale = expected.reduce((most, v) => Math.max(most, Math.abs(v)), 1);
        const off = expected.reduce((most, v, j) => Math.max(most, Math.abs(v - actual[j])), 0);
        expect(off / scale, `value ${i}`).toBeLessThan(tolerance);
      }
    });
  });
}

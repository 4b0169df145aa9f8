// What compiles, and what must not, for users of modules: checked against the package's declarations with several
// versions of TypeScript (scripts/check_types.ts). A line under @ts-expect-error that compiles fails the check.
import { defineFunction, randn, type Tensor, tensor } from 'evenkeel';
import * as nn from 'evenkeel/nn';
import { SGD } from 'evenkeel/optim';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const check = <_T extends true>(): void => {};

class Scale extends nn.Module {
  linear = new nn.Linear(2, 2);
  forward(x: Tensor, shift = 0): Tensor {
    return this.linear(x).add(shift);
  }
}
class Pair extends nn.Module {
  forward(x: Tensor): readonly [Tensor, number] {
    return [x, 1];
  }
}
/** An abstract base, whose subclasses say what they take. */
abstract class Encoder<In, Out> extends nn.Module {
  abstract encode(x: In): Out;
  forward(x: In): Out {
    return this.encode(x);
  }
}
class Words extends Encoder<string, Tensor> {
  encode(x: string): Tensor {
    return tensor([x.length]);
  }
}

const x = randn([1, 2]);

// Calls have the types of forward, through subclasses and generic bases.
const scale = new Scale();
check<Equal<ReturnType<typeof scale>, Tensor>>();
check<Equal<Parameters<typeof scale>, [x: Tensor, shift?: number]>>();
scale(x);
scale(x, 3);
// @ts-expect-error a number is no tensor
scale(3);
// @ts-expect-error too many arguments
scale(x, 3, 4);
const [y, n] = new Pair()(x);
check<Equal<typeof y, Tensor>>();
check<Equal<typeof n, number>>();
const words: Tensor = new Words()('word');
// @ts-expect-error words take a text
new Words()(x);

// Unions of modules are called where their forwards agree.
declare const either: nn.ReLU | nn.BatchNorm2d;
const z: Tensor = either(x);

// What functions have and modules do not.
// @ts-expect-error there is no call
scale.call(null, x);
// @ts-expect-error there is no bind
scale.bind(null);

// Containers are typed.
const seq = new nn.Sequential(new nn.Linear(2, 2), new nn.ReLU());
const out: Tensor = seq(x);
// @ts-expect-error a text is no tensor, and the result no text
const s: string = seq('nonsense');
const two = new nn.Sequential<[a: Tensor, b: Tensor], Tensor>(new Scale());
two(x, x);
// @ts-expect-error it takes two
two(x);
const list = new nn.ModuleList([new nn.Conv2d(1, 1, 1)]);
const conv: nn.Conv2d = list.at(0);
for (const each of list) each.weight.size;
// @ts-expect-error a list has no forward to call
list(x).add(1);

// A wrapper of any module of one tensor.
function twice<M extends nn.Module & ((x: Tensor) => Tensor)>(module: M): Tensor {
  return module(module(x));
}
twice(new nn.ReLU());
// @ts-expect-error it gives a pair
twice(new Pair());

// Lists are arrays.
const parameters: nn.Parameter[] = seq.parameters();
const named: [string, nn.Parameter][] = seq.namedParameters();
new SGD(parameters, { lr: 0.1 });
const byName: Map<string, nn.Parameter> = new Map(named);

// What forward saves has its types in backward.
const power = defineFunction({
  name: 'power',
  forward: (base: Tensor, exponent: number) => ({ output: base.pow(exponent), saved: { base, exponent } }),
  backward: (grad, saved) => {
    check<Equal<typeof saved, { base: Tensor; exponent: number }>>();
    check<Equal<typeof grad, Tensor>>();
    return [grad.mul(saved.base.pow(saved.exponent - 1)).mul(saved.exponent), null];
  },
});
check<Equal<typeof power, (base: Tensor, exponent: number) => Tensor>>();
const split = defineFunction({
  name: 'split',
  forward: (a: Tensor) => ({ output: [a.mul(1), a.mul(2)] as const, saved: {} }),
  backward: ([first, second]) => {
    check<Equal<typeof first, Tensor | null>>();
    return first ?? second;
  },
});
const [one, other] = split(x);
// @ts-expect-error power takes a number
power(x, x);

export { byName, conv, one, other, out, s, words, z };

// ParameterList and ParameterDict: what they hold, under which names, and their errors. Printing: printing.test.ts.

import { describe, expect, it } from 'vitest';
import '../../src/ops/methods.ts';
import { copyModule, Module, Parameter, ParameterDict, ParameterList } from '../../src/nn/index.ts';
import { ones, tensor, zeros } from '../../src/tensor/create.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';

class Polynomial extends Module {
  coefficients = new ParameterList([ones([1]), zeros([1])]);
  named = new ParameterDict({ shift: zeros([1]), bias: ones([1]) });
  forward(x: Tensor): Tensor {
    let y = this.named.get('bias').add(this.named.get('shift'));
    for (const c of this.coefficients) y = y.mul(x).add(c);
    return y;
  }
}

describe('in a model', () => {
  it('they are found, learned, saved and copied under their names', () => {
    const model = new Polynomial();
    const keys = ['coefficients.0', 'coefficients.1', 'named.bias', 'named.shift'];
    expect(model.namedParameters().map(([name]) => name)).toEqual(keys);
    expect([...model.stateDict().keys()]).toEqual(keys);
    model(tensor([2])).backward();
    expect(model.parameters().map(({ grad }) => grad!.item())).toEqual([2, 1, 4, 4]);
    const other = copyModule(model);
    other.coefficients.at(1).detach().fill_(5);
    expect([model(tensor([2])).item(), other(tensor([2])).item()]).toEqual([6, 11]);
    model.loadStateDict(other.stateDict());
    expect(model(tensor([2])).item()).toBe(11);
  });

  it('cannot be called', () => {
    expect(() => new ParameterList()()).toThrow('ParameterList should not be called.');
    expect(() => new ParameterDict()()).toThrow('ParameterDict should not be called.');
  });
});

describe('ParameterList', () => {
  it('appends, extends, sets, slices; tensors become parameters, parameters stay the same', () => {
    const [own, plain] = [new Parameter(ones([2])), zeros([3])];
    const list = new ParameterList([own]).append(plain).extend([ones([1])]);
    expect(list.length).toBe(3);
    expect(list.at(0)).toBe(own);
    expect(list[1]).toBeInstanceOf(Parameter);
    expect(list[1].storage).toBe(plain.storage);
    expect(list.at(-1).shape).toEqual([1]);
    list.set(-2, own);
    expect([...list].slice(0, 2)).toEqual([own, own]);
    expect(list.parameters()).toHaveLength(2);
    const part = list.slice(1);
    expect([part.length, part.at(0)]).toEqual([2, own]);
    expect(list.extend(list).length).toBe(6);
  });

  it('refuses positions that are not there, and what is no tensor', () => {
    const list = new ParameterList([ones([1])]);
    for (const index of [1, -2, 0.5]) expect(() => list.at(index)).toThrow(`index ${index} is out of range`);
    expect(() => list.set(1, ones([1]))).toThrow('index 1 is out of range');
    expect(() => list.append(3 as never)).toThrow('[ParameterList] expected a Tensor, got 3');
    const message = 'ParameterList.extend should be called with an iterable, but got';
    expect(() => list.extend(ones([2]) as never)).toThrow(`${message} Tensor`);
    expect(() => list.extend(3 as never)).toThrow(`${message} 3`);
    expect(list.length).toBe(1);
  });
});

describe('ParameterDict', () => {
  it('sorts the names of an object, keeps the order of Maps, pairs and dictionaries', () => {
    const one = ones([1]);
    expect(new ParameterDict({ c: one, a: one, B: one }).keys()).toEqual(['B', 'a', 'c']);
    const map = new ParameterDict(new Map([...'cab'].map((name) => [name, one])));
    expect(map.keys()).toEqual(['c', 'a', 'b']);
    expect(new ParameterDict(map).keys()).toEqual(['c', 'a', 'b']);
    expect(
      new ParameterDict([
        ['z', one],
        ['y', one],
      ]).keys(),
    ).toEqual(['z', 'y']);
  });

  it('gets, sets, takes out', () => {
    const dict = new ParameterDict({ a: ones([1]), b: zeros([2]) });
    const [a, b] = dict.values();
    expect([dict.size, dict.has('a'), dict.has('forward')]).toEqual([2, true, false]);
    expect(dict.get('a')).toBe(a);
    expect(dict.get('none', null)).toBeNull();
    expect(() => dict.get('none')).toThrow('none');
    expect(dict.setdefault('a', zeros([9]))).toBe(a);
    expect(dict.setdefault('c', zeros([9])).shape).toEqual([9]);
    dict.set('b', a);
    expect(dict.get('b')).toBe(a);
    expect(dict.keys()).toEqual(['a', 'b', 'c']);
    const copy = dict.copy();
    expect(dict.popitem()[0]).toBe('c');
    expect(dict.pop('a')).toBe(a);
    expect(() => dict.pop('a')).toThrow('a');
    expect(dict.items()).toEqual([['b', a]]);
    dict.update({ b, d: b });
    expect([...dict]).toEqual([
      ['b', b],
      ['d', b],
    ]);
    dict.clear();
    expect(() => dict.popitem()).toThrow('dictionary is empty');
    expect([dict.size, copy.size]).toEqual([0, 3]);
    expect(dict.fromkeys(['y', 'x'], a).items()).toEqual([
      ['y', a],
      ['x', a],
    ]);
  });

  it('refuses other values, and names that are taken or have a dot', () => {
    const dict = new ParameterDict();
    expect(() => dict.set('a', 3 as never)).toThrow('[ParameterDict] expected a Tensor, got 3');
    expect(() => dict.set('a.b', ones([1]))).toThrow('parameter name can\'t contain "."');
    expect(() => dict.set('forward', ones([1]))).toThrow("attribute 'forward' already exists");
    const message = 'ParametersDict.update should be called with an iterable of key/value pairs, but got';
    expect(() => dict.update(ones([2]) as never)).toThrow(`${message} Tensor`);
    expect(() => dict.update(3 as never)).toThrow(`${message} 3`);
    expect(dict.size).toBe(0);
  });
});

// Indexing and aliasing by hand: what the goldens of indexing_golden.test.ts do not say. PyTorch's values were read off
// PyTorch 2.13.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  arange,
  cat,
  chunk,
  expand,
  flip,
  gather,
  gradcheck,
  gradgradcheck,
  IndexError,
  indexAdd,
  indexCopy,
  narrow,
  noGrad,
  ones,
  permute,
  randn,
  scatter,
  scatterAdd,
  select,
  setWarningHandler,
  slice,
  split,
  type Tensor,
  tensor,
  transpose,
  type WarningHandler,
  zeros,
} from '../../src/index.ts';
import * as nn from '../../src/nn/index.ts';

const grid = () => arange(12).to('float32').reshape(3, 4);
const long = (values: number[]) => tensor(values, { dtype: 'int64' });

describe('index', () => {
  test('index tensors are paired, not crossed', () => {
    const labels = tensor([1, 0, 3], { dtype: 'int64' });
    expect(grid().index(arange(3), labels).toArray()).toEqual([1, 4, 11]);
  });

  test('softmax from scratch learns the loss that crossEntropy has', () => {
    const logits = randn([5, 4]);
    const labels = long([0, 3, 1, 1, 2]);
    const own = logits.logSoftmax(1).index(arange(5), labels).mean().neg();
    expect(own.item()).toBeCloseTo(nn.functional.crossEntropy(logits, labels).item(), 6);
  });

  test('strings, objects and numbers mean what they mean in Python', () => {
    const x = arange(24).reshape(2, 3, 4);
    const same: [Tensor, Tensor][] = [
      [x.index(':', -1, '::2'), x.select(1, 2).slice(1, 0, 4, 2)],
      [x.index('...', '-3:-1'), x.narrow(2, 1, 2)],
      [x.index('...', { start: -3, end: -1 }), x.narrow(2, 1, 2)],
      [x.index(' 1 : '), x.narrow(0, 1, 1)],
      [x.index(0, null, '...', null), x.select(0, 0).reshape(1, 3, 4, 1)],
      [x.index([1, 0]), x.flip(0)],
      [x.index(tensor(1, { dtype: 'int32' })), x.select(0, 1)],
      [
        x.index([
          [true, false, true],
          [false, false, true],
        ]),
        tensor([
          [0, 1, 2, 3],
          [8, 9, 10, 11],
          [20, 21, 22, 23],
        ]),
      ],
    ];
    for (const [a, b] of same) expect(a.toArray()).toEqual(b.toArray());
    expect(x.index(true).shape).toEqual([1, 2, 3, 4]);
    expect(x.index(false).shape).toEqual([0, 2, 3, 4]);
    expect(x.index([]).shape).toEqual([0, 3, 4]);
  });

  test('the joined dimension stands in its place, or in front', () => {
    const x = zeros([2, 3, 4, 5]);
    const [a, b] = [long([0, 1, 0]), long([1, 1, 2])];
    expect(x.index(':', a, b).shape).toEqual([2, 3, 5]);
    expect(x.index(a, ':', b).shape).toEqual([3, 3, 5]);
    expect(x.index(':', a, null, b).shape).toEqual([3, 2, 1, 5]);
    expect(x.index(':', a, 0, b).shape).toEqual([2, 3]); // numbers select first
    expect(x.index(true, ':', a).shape).toEqual([3, 2, 4, 5]);
  });

  test('a uint8 tensor is a mask, and a warning says that this is deprecated', () => {
    const texts: string[] = [];
    const before = setWarningHandler((text) => texts.push(text));
    try {
      expect(grid().index(tensor([1, 0, 1], { dtype: 'uint8' })).shape).toEqual([2, 4]);
    } finally {
      setWarningHandler(before);
    }
    expect(texts).toEqual(['indexing with dtype uint8 is now deprecated, please use a dtype bool instead.']);
  });

  test.each<[string, () => unknown, string, string]>([
    ['beyond', () => grid().index(3), 'IndexError', '[index] index 3 is out of bounds for dimension 0 with size 3'],
    [
      'in a tensor',
      () => grid().index(':', long([0, -5])),
      'IndexError',
      '[index] index -5 is out of bounds for dimension 1 with size 4',
    ],
    [
      'in a list',
      () => grid().setIndex([[7]], 0),
      'IndexError',
      '[setIndex] index 7 is out of bounds for dimension 0 with size 3',
    ],
    ['fraction', () => grid().index(1.5), 'TypeError', '[index] expected an integer as an index, got 1.5'],
    ['NaN', () => grid().index(':', Number.NaN), 'TypeError', '[index] expected an integer as an index, got NaN'],
    [
      'float tensor',
      () => grid().index(tensor([0])),
      'IndexError',
      '[index] tensors used as indices must be long, int, byte or bool tensors, got float32',
    ],
    [
      'list of fractions',
      () => grid().index([0, 0.5]),
      'IndexError',
      '[index] expected integers or booleans in a list of indices, got 0.5',
    ],
    ['too many', () => grid().index(0, 0, 0), 'IndexError', '[index] too many indices for tensor of dimension 2'],
    ['of a scalar', () => zeros([]).index(0), 'IndexError', '[index] invalid index of a 0-dim tensor'],
    [
      'two ellipses',
      () => grid().index('...', '...'),
      'IndexError',
      '[index] an index can only have a single ellipsis',
    ],
    [
      'text',
      () => grid().index('1'),
      'TypeError',
      "[index] expected '...' or a slice such as '1:', '::2' or '-3:-1', got '1'",
    ],
    ['key', () => grid().index({ stop: 2 } as never), 'TypeError', '[index] only integers, slices'],
    ['undefined', () => grid().index(undefined as never), 'TypeError', 'are valid indices, got undefined'],
    ['step', () => grid().index('::-1'), 'ValueError', '[index] slice step must be positive, got -1'],
    [
      'mask',
      () => grid().index([true, false]),
      'IndexError',
      '[index] The shape of the mask [2] at index 0 does not match the shape of the indexed tensor [3, 4] at index 0',
    ],
    [
      'not broadcast',
      () => grid().index([0, 1], [0, 1, 2]),
      'IndexError',
      'shape mismatch: indexing tensors could not be broadcast together with shapes [2], [3]',
    ],
    [
      'value',
      () => grid().setIndex(0, ones([3])),
      'RuntimeError',
      '[setIndex] shape mismatch: value tensor of shape [3] cannot be broadcast to indexing result of shape [4]',
    ],
    [
      'dtype',
      () => grid().setIndex([[0]], ones([4], { dtype: 'float64' })),
      'RuntimeError',
      'Index put requires the source and destination dtypes match, got float32 for the destination and float64 for the source.',
    ],
    [
      'leaf',
      () => ones([2]).requiresGrad_().setIndex(0, 1),
      'RuntimeError',
      'a leaf Variable that requires grad is being used in an in-place operation.',
    ],
    [
      'no value',
      () => grid().setIndex(0, undefined as never),
      'TypeError',
      '[setIndex] expected a tensor or a number as value, got undefined',
    ],
    [
      'gather, negative',
      () => gather(grid(), 0, tensor([[-1]], { dtype: 'int64' })),
      'IndexError',
      '[gather] index -1 is out of bounds for dimension 0 with size 3',
    ],
    [
      'gather, larger',
      () => gather(grid(), 0, zeros([1, 5], { dtype: 'int64' })),
      'RuntimeError',
      '[gather] Expected index [1, 5] to be no larger than input [3, 4] apart from dimension 0',
    ],
    [
      'scatter, source',
      () => scatter(grid(), 0, zeros([2, 2], { dtype: 'int64' }), ones([1, 2])),
      'RuntimeError',
      'to be no larger size than source [1, 2]',
    ],
    [
      'scatterAdd, flat source',
      () => scatterAdd(grid(), 0, zeros([2, 2], { dtype: 'int64' }), ones([4])),
      'RuntimeError',
      'Index tensor must have the same number of dimensions as source tensor',
    ],
    [
      'indexAdd, other shape',
      () => indexAdd(grid(), 0, long([0, 1]), ones([4, 2])),
      'RuntimeError',
      '[indexAdd] expected a source of shape [2, 4] for 2 indices, got [4, 2]',
    ],
    [
      'indexCopy, int32',
      () => indexCopy(grid(), 0, tensor([0], { dtype: 'int32' }), ones([1, 4])),
      'RuntimeError',
      'indexCopy(): Expected dtype int64 for index, got int32',
    ],
  ])('error: %s', (_, run, name, text) => {
    let error: Error | null = null;
    try {
      run();
    } catch (thrown) {
      error = thrown as Error;
    }
    expect(error?.name).toBe(name);
    expect(error?.message).toContain(text);
  });
});

describe('setIndex', () => {
  test('writes numbers, rows and masks, and returns the tensor', () => {
    const x = grid();
    expect(x.setIndex(0, -1)).toBe(x);
    x.setIndex(['1:', [0, 3]], tensor([7, 8])).setIndex(x.gt(8), 0);
    expect(x.toArray()).toEqual([
      [-1, -1, -1, -1],
      [7, 5, 6, 8],
      [7, 0, 0, 8],
    ]);
    x.setIndex([[2, 2, 2]], 1, { accumulate: true });
    expect(x.index(2).toArray()).toEqual([10, 3, 3, 11]);
  });

  test('what is refused has changed nothing', () => {
    const x = grid();
    expect(() => x.setIndex([[0, 1, 9]], 5)).toThrow(IndexError);
    expect(() => x.setIndex([':', [0, -9]], 5, { accumulate: true })).toThrow(IndexError);
    expect(x.toArray()).toEqual(grid().toArray());
    expect(x.version).toBe(grid().version);
  });

  test('reads its own values before it writes', () => {
    const x = arange(6);
    x.setIndex([[5, 4, 3, 2, 1, 0]], x);
    expect(x.toArray()).toEqual([5, 4, 3, 2, 1, 0]);
    x.setIndex('1:', x.index(':-1'));
    expect(x.toArray()).toEqual([5, 5, 4, 3, 2, 1]);
  });

  test('is seen by what shares the memory, and by backward', () => {
    const x = zeros([2, 2]);
    const flat = x.reshape(4);
    x.setIndex([1, 0], 3);
    expect(flat.toArray()).toEqual([0, 0, 3, 0]);
    const a = ones([3]).requiresGrad_();
    const y = a.mul(2);
    const square = y.mul(y);
    y.setIndex(0, 1);
    expect(() => square.sum().backward()).toThrow('has been modified by an inplace operation');
  });

  test('channels-last tensors stay so', () => {
    const x = arange(24).reshape(1, 2, 3, 4).contiguous('channelsLast');
    const y = arange(24).reshape(1, 2, 3, 4);
    for (const each of [x, y]) {
      each
        .setIndex([':', 1, [0, 2]], -1)
        .setIndex(['...', 0], -2)
        .setIndex([':', ':', '1:', [1, 1]], 5, { accumulate: true });
    }
    expect(x.memoryFormat).toBe('channelsLast');
    expect(x.toArray()).toEqual(y.toArray());
  });

  test('gradients of both orders', () => {
    const rows = long([2, 0, 2]);
    const place = (x: Tensor, v: Tensor) => {
      const y = x.mul(x);
      y.setIndex([rows, '1:'], v.mul(v), { accumulate: true });
      y.setIndex([0, '::2'], v.index(0, '1:').mul(3));
      return y.setIndex([':', [2, 1]], v.index(':', '1:')).mul(y);
    };
    const inputs = () => [
      randn([3, 4], { dtype: 'float64', requiresGrad: true }),
      randn([3, 3], { dtype: 'float64', requiresGrad: true }),
    ];
    gradcheck(place, inputs());
    gradgradcheck(place, inputs());
  });

  test.each<[string, (y: Tensor) => unknown]>([
    ['copy_', (y) => y.copy_(zeros([3]))],
    ['fill_', (y) => y.fill_(7)],
    ['zero_', (y) => y.zero_()],
    ['setIndex', (y) => y.setIndex('...', 7)],
  ])('what %s has overwritten gets no gradient', (_, change) => {
    const a = ones([3]).requiresGrad_();
    const y = a.mul(2);
    change(y);
    y.sum().backward();
    expect(a.grad!.toArray()).toEqual([0, 0, 0]);
  });

  test('under noGrad a parameter is changed, and stays a leaf', () => {
    const w = ones([3]).requiresGrad_();
    noGrad(() => w.setIndex(1, 5));
    expect([w.isLeaf, w.toArray()]).toEqual([true, [1, 5, 1]]);
  });
});

describe('one rule of aliasing', () => {
  const x = () => arange(6).to('float32').reshape(2, 3);
  test.each<[string, (x: Tensor) => Tensor]>([
    ['narrow', (x) => narrow(x, 0, 0, 2)],
    ['slice', (x) => slice(x, 0)],
    ['select', (x) => select(x.reshape(1, 2, 3), 0, 0)],
    ['index', (x) => x.index()],
    ['index of a slice', (x) => x.index(':')],
    ['split', (x) => split(x, 2)[0]],
    ['chunk', (x) => chunk(x, 1)[0]],
    ['expand', (x) => expand(x, [2, 3])],
    ['repeat', (x) => x.repeat(1, 1)],
    ['permute', (x) => permute(x, [0, 1])],
    ['transpose', (x) => transpose(x, 1, 1)],
    ['flip', (x) => flip(x, [])],
    ['pad', (x) => x.pad([0, 0])],
    ['cat', (x) => cat([x])],
    ['of a scalar', (x) => flip(x.sum(), 0)],
  ])('%s copies, also where it takes everything', (_, op) => {
    const whole = x();
    const before = whole.toArray();
    const copy = op(whole);
    const values = copy.toArray();
    noGrad(() => copy.add_(1));
    expect(whole.toArray()).toEqual(before);
    const again = op(whole);
    whole.mul_(2);
    expect(again.toArray()).toEqual(values);
  });

  test('reshape and its kin share', () => {
    const whole = zeros([2, 3]);
    for (const [i, view] of [
      whole.reshape(3, 2),
      whole.flatten(),
      whole.unflatten(1, [3, 1]),
      whole.unsqueeze(0),
      whole.unsqueeze(0).squeeze(),
      whole.detach(),
    ].entries()) {
      view.fill_(i + 1);
      expect(whole.index(0, 0).item()).toBe(i + 1);
    }
  });

  test('a copy of everything costs no memory until it is changed', () => {
    const whole = zeros([2, 3]);
    expect(whole.narrow(0, 0, 2).storage.isOnLoan).toBe(true);
    expect(whole.chunk(1)[0].storage.isOnLoan).toBe(true);
  });
});

describe('a change that is lost is told of', () => {
  // One warning a process: every test takes the module anew.
  let texts: string[] = [];
  let fresh: typeof import('../../src/index.ts');
  let init: typeof import('../../src/nn/init.ts');
  let before: WarningHandler;
  beforeEach(async () => {
    const { vi } = await import('vitest');
    vi.resetModules();
    fresh = await import('../../src/index.ts');
    init = await import('../../src/nn/init.ts');
    texts = [];
    before = fresh.setWarningHandler((text) => texts.push(text));
  });
  afterEach(() => {
    fresh.setWarningHandler(before);
  });

  test.each<[string, (x: Tensor) => unknown, string]>([
    ['narrow', (x) => x.narrow(0, 0, 2).fill_(1), '[fill_] changes a copy: narrow()'],
    ['select', (x) => x.select(0, 0).mul_(5), '[mul_] changes a copy: select()'],
    ['index', (x) => x.index(0).zero_(), '[zero_] changes a copy: index()'],
    ['copy_', (x) => x.t().copy_(x.t()), '[copy_] changes a copy: t()'],
    ['chunk', (x) => x.chunk(2)[1].add_(1), '[add_] changes a copy: chunk()'],
    ['a view of one', (x) => x.select(0, 0).reshape(2, 2).sub_(1), '[sub_] changes a copy: select()'],
    ['setIndex', (x) => x.select(0, 0).setIndex(0, 1), '[setIndex] changes a copy: select()'],
    ['the function', (x) => fresh.narrow(x as never, 0, 0, 1).fill_(2), '[fill_] changes a copy: narrow()'],
    [
      'reshape of channels-last',
      (x) => x.reshape(1, 1, 4, 4).repeat(1, 2, 1, 1).contiguous('channelsLast').flatten().fill_(1),
      '[fill_] changes a copy: flatten()',
    ],
    ['an initializer', (x) => init.normal_(x.select(0, 0) as never), '[normal_] changes a copy: select()'],
    ['a constant', (x) => init.zeros_(x.select(0, 0) as never), '[constant_] changes a copy: select()'],
  ])('%s', (_, change, text) => {
    const x = fresh.zeros([4, 4]) as unknown as Tensor;
    change(x);
    change(x);
    expect(texts).toEqual([expect.stringContaining(text)]);
    expect(texts[0]).toContain('setIndex()');
  });

  test('and nothing else is', () => {
    const { zeros, ones, cat, tensor } = fresh;
    const x = zeros([4, 4]);
    x.narrow(0, 0, 2).clone().fill_(1);
    x.narrow(0, 0, 2).add(1).fill_(1);
    x.reshape(16).fill_(1);
    x.index(tensor([0], { dtype: 'int64' })).fill_(1); // a copy in PyTorch too
    x.index(x.gt(0)).fill_(1);
    x.flip(0).fill_(1);
    cat([x, x]).fill_(1);
    x.setIndex(0, 3);
    // Gradients are nobody's slices.
    const w = ones([4, 4]).requiresGrad_();
    cat([w.narrow(0, 1, 2), w.select(1, 0).expand(4, 4), w.t()])
      .sum()
      .backward();
    w.grad!.mul_(2);
    expect(texts).toEqual([]);
  });
});

describe('shapes', () => {
  test('sizes and dimensions one after the other', () => {
    const x = arange(6);
    expect(x.reshape(2, 3).shape).toEqual([2, 3]);
    expect(x.reshape(-1).shape).toEqual([6]);
    expect(x.reshape(2, 3).permute(1, 0).shape).toEqual([3, 2]);
    expect(x.reshape(1, 6).expand(2, -1).shape).toEqual([2, 6]);
    expect(x.repeat(2, 1).shape).toEqual([2, 6]);
    expect(x.reshape(2, 3).flip(0, 1).toArray()).toEqual([
      [5, 4, 3],
      [2, 1, 0],
    ]);
  });

  test('a tensor of shape [0] does not count in cat', () => {
    expect(cat([zeros([0]), ones([2, 3])], 1).shape).toEqual([2, 3]);
    expect(cat([ones([2], { dtype: 'int32' }), zeros([0], { dtype: 'float64' })]).dtype).toBe('float64');
    const [a, b] = [zeros([0]).requiresGrad_(), ones([2, 2]).requiresGrad_()];
    cat([a, b]).sum().backward();
    expect([a.grad!.shape, b.grad!.toArray()]).toEqual([
      [0],
      [
        [1, 1],
        [1, 1],
      ],
    ]);
  });

  test.each<[string, () => unknown, string, string]>([
    ['narrow, fraction', () => grid().narrow(0, 1.5, 2), 'TypeError', '[narrow] expected an integer as start, got 1.5'],
    ['narrow, length', () => grid().narrow(0, 0, 5.6), 'TypeError', '[narrow] expected an integer as length, got 5.6'],
    [
      'narrow, start',
      () => grid().narrow(0, 5, 0),
      'IndexError',
      '[narrow] start out of range (expected to be in range of [-3, 3], but got 5)',
    ],
    [
      'narrow, dimension',
      () => grid().narrow(2, 0, 1),
      'IndexError',
      '[narrow] Dimension out of range (expected to be in range of [-2, 1], but got 2)',
    ],
    [
      'narrow, no number',
      () => grid().narrow(0, '1' as never, 1),
      'TypeError',
      "[narrow] expected an integer as start, got '1'",
    ],
    [
      'reshape of nothing',
      () => zeros([0, 3]).reshape(0, -1),
      'RuntimeError',
      'cannot reshape tensor of 0 elements into shape [0, -1] because the unspecified dimension size -1 can be any value and is ambiguous',
    ],
    ['reshape, two unknown', () => grid().reshape(-1, -1), 'RuntimeError', 'only one dimension can be inferred'],
    [
      'reshape, negative',
      () => grid().reshape(-2, 6),
      'RuntimeError',
      'invalid shape dimension -2 at index 0 of shape [-2, 6]',
    ],
    [
      'reshape, NaN',
      () => grid().reshape([Number.NaN, 3]),
      'TypeError',
      '[reshape] expected integers as shape, got [NaN, 3]',
    ],
    [
      'reshape, nothing',
      () => grid().reshape(),
      'TypeError',
      '[reshape] expected sizes or dimensions, got no argument',
    ],
    ['flip twice', () => grid().flip([0, 0]), 'RuntimeError', 'dim 0 appears multiple times in the list of dims'],
    ['t', () => zeros([2, 2, 2]).t(), 'RuntimeError', 't() expects a tensor with <= 2 dimensions, but got one of 3'],
    [
      'expand',
      () => grid().expand([-1, 3, 4]),
      'RuntimeError',
      "The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension 0",
    ],
    ['expand, negative', () => ones([1]).expand(-3), 'RuntimeError', 'The expanded size of the tensor (-3)'],
    [
      'repeat',
      () => grid().repeat(-1, 1),
      'RuntimeError',
      '[repeat] Trying to create tensor with negative dimension: expected counts of at least 0, got [-1, 1]',
    ],
    [
      'repeat, too much',
      () => grid().repeat(2 ** 20, 2 ** 20),
      'RuntimeError',
      '[repeat] a tensor may have at most 2146435072 elements',
    ],
    [
      'repeat, fraction',
      () => grid().repeat(1.5, 1),
      'TypeError',
      '[repeat] expected integers as counts, got [1.5, 1]',
    ],
    ['split, fraction', () => grid().split(1.5), 'TypeError', '[split] expected an integer as the size, got 1.5'],
    [
      'split, negative part',
      () => grid().split([4, -1]),
      'RuntimeError',
      'split expects sizes have only non-negative entries, but got sizes=[4, -1]',
    ],
    [
      'split by 0',
      () => grid().split(0),
      'RuntimeError',
      'split: sizes can only be 0 if dimension size is 0, but got dimension size of 3',
    ],
    ['chunk, fraction', () => grid().chunk(0.5), 'TypeError', '[chunk] expected an integer as count, got 0.5'],
    ['slice, fraction', () => grid().slice(0, 0.5), 'TypeError', '[slice] expected an integer as start, got 0.5'],
    ['select, fraction', () => grid().select(0, 0.5), 'TypeError', '[select] expected an integer as index, got 0.5'],
    [
      'unflatten',
      () => grid().unflatten(1, [3, 2]),
      'RuntimeError',
      "unflatten: Provided sizes [3, 2] don't multiply up to the size of dim 1 (4) in the input tensor",
    ],
    ['pad, fraction', () => grid().pad([0.5, 1]), 'TypeError', '[pad] expected integers as padding, got [0.5, 1]'],
    [
      'pad, cut',
      () => grid().pad([-3, -2]),
      'RuntimeError',
      '[pad] expected negative padding of at most the size 4 of dimension 1, got -3 and -2',
    ],
    ['squeeze, fraction', () => grid().squeeze(0.5), 'TypeError', '[squeeze] expected an integer as dim, got 0.5'],
    [
      'embedding',
      () => nn.functional.embedding(long([0]), grid(), { paddingIdx: 3 }),
      'ValueError',
      '[embedding] paddingIdx must be within numEmbeddings',
    ],
    [
      'embedding, index',
      () => nn.functional.embedding(long([3]), grid()),
      'IndexError',
      '[embedding] index 3 is out of bounds for dimension 0 with size 3',
    ],
  ])('error: %s', (_, run, name, text) => {
    let error: Error | null = null;
    try {
      run();
    } catch (thrown) {
      error = thrown as Error;
    }
    expect(error?.name).toBe(name);
    expect(error?.message).toContain(text);
  });
});

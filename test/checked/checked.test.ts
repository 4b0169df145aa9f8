// The checks of the checked build find what they are for: calls as a faulty operation would make them.
import { afterAll, describe, expect, test } from 'vitest';
import type { AddressBackend } from '../../src/device/address_backend.ts';
import { Dtype, Format, Unary } from '../../src/device/generated/abi.ts';
import { loadNative } from '../../src/device/native.ts';
import { type Operand, partOf } from '../../src/device/operand.ts';
import { WasmBackend } from '../../src/device/wasm.ts';
import { checkBackend } from './check_backend.ts';

const { backend: native } = loadNative();
const devices: [string, AddressBackend][] = [
  ['wasm', new WasmBackend()],
  ...(native ? [['native', native] as [string, AddressBackend]] : []),
];

describe.each(devices)('%s', (_, backend) => {
  checkBackend(backend);
  const bytes = (count: number) => backend.allocate(count);
  // What a call has pinned stays pinned where it threw.
  const calling = (call: () => number) => () => {
    try {
      backend.check('test', call());
    } catch (error) {
      backend.check('test', 0);
      throw error;
    }
  };
  afterAll(() => backend.check('test', 0));

  test('right calls pass', () => {
    const [x, out] = [bytes(40), bytes(40)];
    expect(
      calling(() => {
        const status = backend.kernels.fill(Dtype.float32, x.pin(), 10, 3);
        return status || backend.kernels.unary(Unary.neg, Dtype.float32, x.pin(), out.pin(), 10, 0, 0);
      }),
    ).not.toThrow();
    expect(Array.from(new Float32Array(out.bytes().slice(0, 40).buffer))).toEqual(Array(10).fill(-3));
  });

  test('new memory holds no numbers', () => {
    expect(Array.from(bytes(10).bytes().slice(0, 10))).toEqual(Array(10).fill(255));
  });

  test('a block that is too short', () => {
    const [x, out] = [bytes(40), bytes(36)];
    const negate = (dtype: number, n: number) =>
      calling(() => backend.kernels.unary(Unary.neg, dtype, x.pin(), out.pin(), n, 0, 0));
    expect(negate(Dtype.float32, 10)).toThrow('unary, out: needs the bytes 0 to 40 of a block of 36');
    expect(negate(Dtype.float64, 5)).toThrow('unary, out: needs the bytes 0 to 40 of a block of 36');
    expect(negate(Dtype.float32, 11)).toThrow('unary, x: needs the bytes 0 to 44 of a block of 40');
    expect(negate(Dtype.float32, 9)).not.toThrow();
  });

  test('an address that is no block’s, or whose block was not pinned or has been given back', () => {
    const [x, out] = [bytes(40), bytes(40)];
    const into = (address: () => number) =>
      calling(() => backend.kernels.unary(Unary.neg, Dtype.float32, x.pin(), address(), 10, 0, 0));
    expect(into(() => 0)).toThrow('unary, out: the address 0 belongs to no block of this call');
    const address = out.pin();
    backend.check('test', 0);
    expect(into(() => address)).toThrow(`unary, out: the address ${address} belongs to no block of this call`);
    backend.free(out);
    expect(into(() => (backend as unknown as { hold(block: unknown): void }).hold(out) ?? address)).toThrow(
      /has been given back|belongs to no block/,
    );
  });

  test('strides that reach beyond either end', () => {
    const [x, out] = [bytes(24), bytes(24)];
    const copy = (strides: number[], offset = 0) =>
      calling(() =>
        backend.kernels.copyStrided(
          4,
          x.pin() + offset,
          out.pin(),
          2,
          backend.ints([2, 3]),
          backend.ints(strides),
          backend.ints([3, 1]),
        ),
      );
    expect(copy([3, 1])).not.toThrow();
    expect(copy([1, 2])).not.toThrow();
    expect(copy([4, 1])).toThrow('copyStrided, x: needs the bytes 0 to 28 of a block of 24');
    expect(copy([3, -1])).toThrow('copyStrided, x: needs the bytes -8 to 16 of a block of 24');
    expect(copy([3, -1], 8)).not.toThrow();
  });

  test('a table of addresses with a state that is too short', () => {
    const [p, g, state] = [bytes(400), bytes(400), bytes(4)];
    const step = () =>
      calling(() => {
        const rows = Float64Array.of(p.pin(), g.pin(), state.pin(), 0, 0, 100);
        return backend.kernels.optimSgd(Dtype.float32, backend.doubles(rows), 1, 0.1, 0.9, 0, 0, 0, 0, 0);
      });
    expect(step()).toThrow('optimSgd, row 0, column 2: needs the bytes 0 to 400 of a block of 4');
  });

  test('a kernel that writes behind its block', () => {
    const x = bytes(40);
    const own = backend.kernels as unknown as Record<string, (...a: number[]) => number>;
    expect(
      calling(() => {
        x.bytes()[41] = 0;
        return own.fill(Dtype.float32, x.pin(), 10, 3);
      }),
    ).toThrow('fill wrote behind a block of 40 bytes, at 41');
  });

  /** A float32 operand in a block that may be longer. */
  const operand = (size: number, block = bytes(size * 4)): Operand => ({
    shape: [size],
    size,
    code: Dtype.float32,
    itemSize: 4,
    formatCode: Format.contiguous,
    materialize: () => {},
    pin: () => block.pin(),
  });
  const launching = (call: () => void) =>
    calling(() => {
      call();
      return 0;
    });

  test('an operand that is too short, in a block that is long enough', () => {
    const negate = (x: Operand, out: Operand) =>
      launching(() => backend.launch.unary('neg', { op: Unary.neg, x, out, p0: 0, p1: 0 }));
    expect(negate(operand(10), operand(10, bytes(400)))).not.toThrow();
    expect(negate(operand(10), operand(9, bytes(400)))).toThrow(
      'unary, out: needs the bytes 0 to 40 of an operand of 36',
    );
    // A kernel that is called by itself afterwards has no operands.
    const [x, out] = [bytes(40), bytes(40)];
    expect(calling(() => backend.kernels.unary(Unary.neg, Dtype.float32, x.pin(), out.pin(), 10, 0, 0))).not.toThrow();
  });

  test('a part of an operand: from where it begins to the end of the whole, and backwards to the beginning of the whole', () => {
    const whole = operand(10, bytes(400));
    const out = operand(10);
    const copy = (x: Operand, count: number, stride: number) =>
      launching(() =>
        backend.launch.copyStrided('copy', { x, out, shape: [count], xStrides: [stride], outStrides: [1] }),
      );
    expect(copy(partOf(whole, 4), 6, 1)).not.toThrow();
    expect(copy(partOf(whole, 4), 7, 1)).toThrow('copyStrided, x: needs the bytes 16 to 44 of an operand of 40');
    expect(copy(partOf(whole, 4), 5, -1)).not.toThrow();
    // A whole that begins inside of its block.
    const inside = { ...whole, pin: () => whole.pin() + 40 };
    expect(copy(partOf(inside, 4), 6, -1)).toThrow('copyStrided, x: needs the bytes -4 to 20 of an operand of 40');
    expect(copy(partOf(partOf(whole, 4), 4), 3, 1)).toThrow('needs the bytes 32 to 44 of an operand of 40');
  });

  test('a state in an optimizer’s table that is too short', () => {
    const step = (state: Operand) =>
      launching(() =>
        backend.launch.optimSgd('SGD', {
          table: [{ parameter: operand(10), gradient: operand(10), states: [state] }],
          lr: 0.1,
          momentum: 0.9,
          dampening: 0,
          weightDecay: 0,
          nesterov: false,
          maximize: false,
          first: false,
        }),
      );
    expect(step(operand(10, bytes(400)))).not.toThrow();
    expect(step(operand(1, bytes(400)))).toThrow(
      'optimSgd, row 0, column 2: needs the bytes 0 to 40 of an operand of 4',
    );
  });
});

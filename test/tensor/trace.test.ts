// Traces: what ran, for whom, on what; and nothing is different when nobody asks.
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { currentBackend } from '../../src/device/engine.ts';
import { startOf } from '../../src/device/operand.ts';
import { getEngine, matmul, ones, randn, relu, type Tensor, trace } from '../../src/index.ts';
import { BatchNorm2d, Linear, ReLU, Sequential } from '../../src/nn/index.ts';
import { SGD } from '../../src/optim/index.ts';

const names = (events: readonly { name: string; args: { caller: string } }[]) =>
  events.map(({ name, args }) => `${args.caller}: ${name}`);

test('a trace has each kernel with its caller, its operands and its time, and the result', () => {
  const [a, b] = [ones([2, 3]), ones([3, 4])];
  const began = performance.now() * 1000;
  const { result, trace: kernels } = trace(() => relu(matmul(a, b)));
  const ended = performance.now() * 1000;
  expect(result.toArray()).toEqual(Array(2).fill(Array(4).fill(3)));
  expect(names(kernels.traceEvents)).toEqual(['matmul: gemm', 'relu: unary']);
  const [gemm, unary] = kernels.traceEvents;
  expect(gemm.args.operands).toMatchObject({
    a: { dtype: 'float32', shape: [2, 3] },
    b: { dtype: 'float32', shape: [3, 4] },
  });
  expect(unary.args.operands).toEqual({
    x: { dtype: 'float32', shape: [2, 4] },
    out: { dtype: 'float32', shape: [2, 4] },
  });
  // One after the other, within the call.
  expect(gemm.ts).toBeGreaterThanOrEqual(began);
  expect(gemm.dur).toBeGreaterThan(0);
  expect(unary.ts).toBeGreaterThanOrEqual(gemm.ts + gemm.dur);
  expect(unary.ts + unary.dur).toBeLessThanOrEqual(ended);
});

test('it is what Chrome reads: complete events, in JSON', () => {
  const { trace: kernels } = trace(() => ones([2]).add(1));
  expect(JSON.parse(JSON.stringify(kernels))).toEqual({
    displayTimeUnit: 'ms',
    traceEvents: kernels.traceEvents.map((event) => ({ ...event, cat: getEngine(), ph: 'X', pid: 1, tid: 1 })),
  });
  expect(kernels.traceEvents.length).toBeGreaterThan(0);
});

test('a time is the kernel’s own: the larger product takes longer', () => {
  const [small, large] = [randn([64, 64]), randn([512, 512])];
  // 512 times the work. The least of several times is one in which no other process was in the way.
  const least = (x: Tensor) =>
    Math.min(
      ...Array.from({ length: 5 }, () => {
        const { trace: kernels } = trace(() => matmul(x, x));
        return kernels.traceEvents.find(({ name }) => name === 'gemm')!.dur;
      }),
    );
  expect(least(large)).toBeGreaterThan(least(small));
});

test('what is deferred is told when it is computed, and is no part of its reader’s time', () => {
  const model = new Sequential(new BatchNorm2d(4), new ReLU()).train();
  const x = randn([2, 4, 8, 8]).contiguous('channelsLast');
  let y: Tensor;
  const { trace: before } = trace(() => {
    y = model(x);
  });
  const { trace: after } = trace(() => y.exp());
  expect(before.traceEvents.some(({ name }) => name === 'batchNormApply')).toBe(false);
  const events = after.traceEvents;
  expect(events.at(-1)!.args.caller).toBe('exp');
  expect(events.length).toBe(2);
  expect(events[1].ts).toBeGreaterThanOrEqual(events[0].ts + events[0].dur);
});

test('an operand that is a part says where it begins', () => {
  const x = ones([4, 3]);
  const { trace: kernels } = trace(() => x.narrow(0, 2, 1));
  const [event] = kernels.traceEvents;
  expect(event.args.operands.x).toEqual({ dtype: 'float32', shape: [4, 3], start: 6 });
  expect(startOf(x)).toBe(0);
});

test('an optimizer’s table is told row by row', () => {
  const model = new Linear(3, 2);
  const optimizer = new SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });
  model(ones([1, 3]))
    .sum()
    .backward();
  const { trace: kernels } = trace(() => optimizer.step());
  const { operands } = kernels.traceEvents.find(({ name }) => name === 'optimSgd')!.args;
  expect(operands).toMatchObject({
    'row 0, column 0': { shape: [2, 3] },
    'row 0, column 1': { shape: [2, 3] },
    'row 1, column 0': { shape: [2] },
  });
});

test('an async function is waited for; traces within each other, and overlapping ones, each have their own', async () => {
  const outer = trace(async () => {
    ones([2]).add(1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const inner = trace(() => ones([2]).mul(2));
    return inner.trace.traceEvents;
  });
  expect(outer).toBeInstanceOf(Promise);
  const { result: inner, trace: kernels } = await outer;
  expect(names(inner).at(-1)).toBe('mul: binaryScalar');
  expect(names(kernels.traceEvents)).toContain('add: binaryScalar');
  expect(kernels.traceEvents.slice(-inner.length)).toEqual(inner);

  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const first = trace(async () => {
    await pause(5);
  });
  const second = trace(async () => {
    await pause(20);
    return ones([2]).exp();
  });
  await first;
  expect(names((await second).trace.traceEvents)).toContain('exp: unary');
});

describe('when nobody asks', () => {
  test('launches are the engine’s own: before, behind a trace, and behind a function that threw', async () => {
    const { launch } = currentBackend();
    trace(() => {
      expect(currentBackend().launch).not.toBe(launch);
    });
    expect(currentBackend().launch).toBe(launch);
    const failing = () => {
      throw new Error('mine');
    };
    expect(() => trace(failing)).toThrow('mine');
    expect(currentBackend().launch).toBe(launch);
    await expect(trace(async () => failing())).rejects.toThrow('mine');
    expect(currentBackend().launch).toBe(launch);
  });
});

test('a kernel that refuses is told too, and its error arrives', () => {
  const events: unknown[] = [];
  const { result, trace: kernels } = trace(() => {
    try {
      return ones([2], { dtype: 'int32' }).remainder(0);
    } catch (error) {
      events.push(error);
      return null;
    }
  });
  expect(result).toBe(null);
  expect(events.length).toBe(1);
  expect(names(kernels.traceEvents).at(-1)).toBe('remainder: binaryScalar');
});

test('what is no function is refused', () => {
  expect(() => trace(5 as never)).toThrow('[trace] expected a function, got 5');
});

describe('EVENKEEL_TRACE', () => {
  const program = `import { cat, ones } from './src/index.ts'; cat([ones([2, 3]), ones([2, 3])]).exp();`;
  const run = (value: string, settings: NodeJS.ProcessEnv = {}) =>
    spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
      encoding: 'utf8',
      env: { ...process.env, EVENKEEL_TRACE: value, ...settings },
    });

  test('1 prints a line for each kernel', () => {
    const { stderr, status } = run('1');
    expect(status).toBe(0);
    const lines = stderr.trim().split('\n');
    expect(lines.at(-1)).toMatch(/^evenkeel: +\d+\.\d us {2}unary {2}\[exp\] {2}x float32\[4,3\]; out float32\[4,3\]$/);
    expect(lines.some((line) => / \[cat\] .*out float32\[4,3\] from 6/.test(line))).toBe(true);
  });

  test('1 does so on the engine that is chosen by itself', () => {
    expect(run('1', { EVENKEEL_ENGINE: '' }).stderr).toMatch(/^evenkeel: +\d+\.\d us {2}unary {2}\[exp\]/m);
  });

  test('0, or nothing, prints nothing; anything else is refused', () => {
    expect(run('0').stderr).toBe('');
    expect(run('').stderr).toBe('');
    expect(run('yes').stderr).toContain("[EVENKEEL_TRACE] expected '0' or '1' as value, got 'yes'");
  });
});

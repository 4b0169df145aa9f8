// What the benchmarks make of times: shares of a limit, disturbed turns, targets.
import { expect, test } from 'vitest';
import { limitOf, type Speed } from '../../bench/machine.ts';
import { disturbance, median, type Row, ratioOf, timesOf } from '../../bench/measure.ts';
import { boundText, judge } from '../../bench/target.ts';

const speed: Speed = { gflops: 100, gbps: 10, gbpsAlike: 20, lastCache: 1e6 };

test('the limit of a row is that of its arithmetic or that of its bytes, whichever takes longer', () => {
  expect(limitOf({ multiplyAdds: 1e8, held: 1e6 }, speed)).toBeCloseTo(2);
  expect(limitOf({ multiplyAdds: 1e6, held: 1e8 }, speed)).toBeCloseTo(5);
  expect(limitOf({ multiplyAdds: 0, held: 1e8, moved: (lastCache) => 40 * lastCache }, speed)).toBeCloseTo(2);
});

test('ratios are medians over the turns', () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(ratioOf(timesOf([[2, 2, 2], [9]]), timesOf([[1], [3, 3, 3]]))).toBe(2.5);
});

const ours = timesOf([[1], [1], [1]]);
const reasonOf = (peer: readonly (readonly number[])[]) =>
  disturbance({ own: [ours], peers: [timesOf(peer)], speeds: [] });

test('a peer is disturbed whose runs end with slices of time', () => {
  expect(reasonOf([[16.1, 32, 3], [15.9, 48.2], [31.8]])).toBe("a peer's times are multiples of 16 ms");
  expect(reasonOf([[16.1, 16], [15.9], [16.2]])).toBeUndefined();
});

test('a peer is disturbed whose turns differ', () => {
  expect(reasonOf([[10], [14], [20]])).toBe("a peer's turns are spread by 36 %");
  expect(reasonOf([[10], [11], [12]])).toBeUndefined();
  // One bad turn is no reason.
  expect(reasonOf([[10], [10], [11], [10], [90]])).toBeUndefined();
});

test('nobody takes less than the limit, but for those who need fewer multiplications', () => {
  const measured = { own: [ours], peers: [], speeds: [speed, speed, speed] };
  expect(disturbance(measured, { multiplyAdds: 1e8, held: 1 })).toBe('200 % of the limit');
  expect(disturbance(measured, { multiplyAdds: 1e8, held: 1, mayTakeFewer: true })).toBeUndefined();
  expect(disturbance(measured, { multiplyAdds: 4e7, held: 1 })).toBeUndefined();
});

test('a target may have an alternative, and may look at the best of several modes', () => {
  const row = { ratio: { torch: 1.1 }, extra: { share: 90 } } as unknown as Row;
  const target = { figure: 'torch', atLeast: 1.2 };
  expect(judge(target, row)).toMatchObject({ value: 1.1, met: false });
  const either = { ...target, or: { figure: 'share', atLeast: 85 } };
  expect(judge(either, row)).toMatchObject({ value: 1.1, met: true });
  expect(boundText(either)).toBe('torch ≥ 1.2 or share ≥ 85');
  expect(judge({ figure: 'jax-js', atLeast: 1 }, row)).toBeUndefined();
  expect(judge({ figure: "to PyTorch's best", atLeast: 1 }, row)).toMatchObject({ value: 1.1 });
  expect(judge({ figure: "to PyTorch's best", atLeast: 1 }, { ...row, extra: { "to PyTorch's best": 0.9 } })?.met).toBe(
    false,
  );
});

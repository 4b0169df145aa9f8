// One direction of one recurrent layer as one operation: the inputs of all steps in one matrix product, then a kernel
// that goes through the steps. Layers and their checks are in nn/recurrent.ts.
import { grad } from '../autograd/backward.ts';
import { asOperand, defineOp } from '../autograd/define_op.ts';
import { isGradEnabled } from '../autograd/grad_mode.ts';
import { Cell } from '../device/generated/abi.ts';
import { type Operand, partOf } from '../device/operand.ts';
import { noteMultiplyAdds } from '../launch/work.ts';
import { copyElements, rowMajor } from '../tensor/copy.ts';
import { fullOn } from '../tensor/create.ts';
import { present, requireSameDevice } from '../tensor/requirements.ts';
import { allocate, type Tensor } from '../tensor/tensor.ts';
import { clone } from './convert.ts';
import { add, mul, relu, sigmoid, sub, tanh } from './elementwise.ts';
import { linear } from './linear.ts';
import { launchGemm } from './matmul.ts';
import { sum } from './reduce.ts';
import { chunk, reshape, select, stack } from './shape_ops.ts';

/** What a step computes, and whether the last step comes first. */
export interface RecurrentMode {
  readonly kind: 'lstm' | 'gru' | 'tanh' | 'relu';
  readonly reverse: boolean;
}
export const gatesOf = { lstm: 4, gru: 3, tanh: 1, relu: 1 } as const;

/**
 * The operands of one direction: x (T, N, I); wIh (G·H, I), wHh (G·H, P) and their biases; the projection wHr (P, H) of
 * an LSTM, without which P = H; the states h0 (N, P) and, of an LSTM, c0 (N, H).
 */
export type RecurrentOperands = readonly [
  x: Tensor,
  wIh: Tensor,
  wHh: Tensor,
  bIh: Tensor | null,
  bHh: Tensor | null,
  wHr: Tensor | null,
  h0: Tensor,
  c0: Tensor | null,
];

/** What forward and backward tell the kernel of the steps. */
function stepsOf(x: Tensor, wHh: Tensor, wHr: Tensor | null, { kind, reverse }: RecurrentMode) {
  const [steps, n] = x.shape;
  const [rows, out] = wHh.shape;
  const h = rows / gatesOf[kind];
  noteMultiplyAdds(steps * n * out * (rows + (wHr ? h : 0)));
  return { cell: Cell[kind], reverse, projects: wHr !== null, steps, n, rows, h, out };
}

/** A step by plain operations: [h, c]. */
function plainStep(
  kind: RecurrentMode['kind'],
  fromInput: Tensor,
  [, , wHh, , bHh, wHr]: RecurrentOperands,
  h: Tensor,
  c: Tensor | null,
): [h: Tensor, c: Tensor | null] {
  const fromState = linear(h, wHh, bHh);
  if (kind === 'gru') {
    const [xr, xz, xm] = chunk(fromInput, 3, 1);
    const [hr, hz, hm] = chunk(fromState, 3, 1);
    const m = tanh(add(xm, mul(sigmoid(add(xr, hr)), hm)));
    return [add(mul(sub(h, m), sigmoid(add(xz, hz))), m), null];
  }
  const gates = add(fromInput, fromState);
  if (kind !== 'lstm') return [kind === 'tanh' ? tanh(gates) : relu(gates), null];
  const [i, f, g, o] = chunk(gates, 4, 1);
  const cell = add(mul(sigmoid(f), c!), mul(sigmoid(i), tanh(g)));
  const hidden = mul(sigmoid(o), tanh(cell));
  return [wHr ? linear(hidden, wHr) : hidden, cell];
}

/** The definition, which autograd differentiates for second orders. */
function plain(operands: RecurrentOperands, mode: RecurrentMode): Tensor[] {
  const [x, wIh, , bIh, , , h0, c0] = operands;
  const projected = linear(x, wIh, bIh);
  const [steps] = x.shape;
  const outputs: Tensor[] = [];
  let [h, c] = [h0, c0];
  for (let i = 0; i < steps; i++) {
    const t = mode.reverse ? steps - 1 - i : i;
    [h, c] = plainStep(mode.kind, select(projected, 0, t), operands, h, c);
    outputs[t] = h;
  }
  return [stack(outputs), h, ...(c ? [c] : [])];
}

const names = ['x', 'wIh', 'wHh', 'bIh', 'bHh', 'wHr', 'h0', 'c0'] as const;

/**
 * All steps of one direction: [y (T, N, P), the last h (N, P), of an LSTM the last c (N, H)]. T is at least 1.
 */
export const recurrent = defineOp({
  name: 'recurrent',
  forward(
    ctx,
    x: Tensor,
    wIh: Tensor,
    wHh: Tensor,
    bIh: Tensor | null,
    bHh: Tensor | null,
    wHr: Tensor | null,
    h0: Tensor,
    c0: Tensor | null,
    mode: RecurrentMode,
  ): readonly Tensor[] {
    const { kind } = mode;
    requireSameDevice('recurrent', ...present(x, wIh, wHh, bIh, bHh, wHr, h0, c0));
    const input = rowMajor(x);
    const shared = stepsOf(input, wHh, wHr, mode);
    const { steps, n, rows, h, out } = shared;
    const { backend, dtype } = x;
    const isGru = kind === 'gru';
    const fresh = (...shape: number[]) => allocate(shape, dtype, 'contiguous', backend);
    // A GRU needs the sums of the state apart from those of the input; else there is one sum, with both biases.
    const bias = isGru || !bIh || !bHh ? bIh : add(bIh, bHh);
    const gates = launchGemm(reshape(input, [steps * n, input.shape[2]]), wIh, false, true, bias);
    const hidden = isGru ? fresh(steps * n, rows) : null;
    const cells = kind === 'lstm' ? fresh(steps * n, h) : null;
    const y = fresh(steps, n, out);
    const unprojected = wHr ? fresh(steps * n, h) : null;
    backend.launch.recurrent('recurrent', {
      ...shared,
      wHh,
      bHh: isGru ? bHh : null,
      wHr,
      h0,
      c0,
      gates,
      hidden,
      cells,
      unprojected,
      y,
    });
    ctx.save(input, wIh, wHh, bIh, bHh, wHr, h0, c0, gates, y, hidden, cells, unprojected);
    const last = mode.reverse ? 0 : steps - 1;
    const copy = (from: Tensor, width: number) => {
      const to = fresh(n, width);
      copyElements('recurrent', from, to, [n * width], [1], [1], last * n * width);
      return to;
    };
    return [y, copy(y, out), ...(cells ? [copy(cells, h)] : [])];
  },
  backward(ctx, grads, ...args) {
    const mode = args[8];
    const operands = ctx.saved.slice(0, 8) as unknown as RecurrentOperands;
    if (isGradEnabled()) return [...recordedGradients(operands, mode, ctx.needs, grads), null];
    const [x, wIh, wHh, , , wHr, h0, c0, gates, y, hidden, cells, unprojected] = ctx.saved;
    const shared = stepsOf(x, wHh, wHr, mode);
    const { steps, n, rows, h, out } = shared;
    const { backend, dtype } = x;
    const fresh = (...shape: number[]) => allocate(shape, dtype, 'contiguous', backend);
    /** A gradient that is changed here, and belongs to somebody else, or 0. */
    const own = (g: Tensor | null | undefined, width: number) => {
      if (!g) return fullOn(backend, [n, width], 0, dtype);
      const to = fresh(n, width);
      copyElements('recurrent', g, to, [n * width], [1], [1]);
      return to;
    };
    const [dy, dLast, dcLast] = [grads[0] as Tensor | null, grads[1] as Tensor | null, grads[2] as Tensor | null];
    const dh = own(dLast, out);
    const dc = cells && own(dcLast, h);
    const dgates = fresh(steps * n, rows);
    const dhidden = hidden ? fresh(steps * n, rows) : dgates;
    const dprojected = wHr ? fresh(steps * n, out) : null;
    backend.launch.recurrentBackward('recurrentBackward', {
      ...shared,
      wHh,
      wHr,
      h0,
      c0,
      gates,
      hidden,
      cells,
      y,
      dy: dy && rowMajor(dy),
      dh,
      dc,
      dgates,
      dhidden: hidden && dhidden,
      dprojected,
    });
    const needs = Object.fromEntries(names.map((name, i) => [name, ctx.needs[i]]));
    const weightHh = () => {
      const to = fresh(rows, out);
      /** Adds the part of `count` rows, from row `row` of dhidden and from states. */
      const addPart = (count: number, row: number, states: Operand, accumulate: boolean) => {
        noteMultiplyAdds(rows * out * count);
        backend.launch.gemm('recurrentBackward', {
          transposeA: true,
          transposeB: false,
          batch: 1,
          m: rows,
          n: out,
          k: count,
          a: partOf(dhidden, row * rows),
          aStep: 0,
          b: states,
          bStep: 0,
          bias: null,
          c: to,
          accumulate,
        });
      };
      // The states before the first step, and then y without its last step.
      const [first, from, state] = mode.reverse ? [(steps - 1) * n, 0, n] : [0, n, 0];
      addPart(n, first, h0, false);
      if (steps > 1) addPart((steps - 1) * n, from, partOf(y, state * out), true);
      return to;
    };
    const dbIh = needs.bIh ? sum(dgates, 0) : null;
    // Where there is one sum of gates, both biases have one gradient.
    const dbHh = needs.bHh ? (hidden || !dbIh ? sum(dhidden, 0) : clone(dbIh)) : null;
    return [
      needs.x ? reshape(launchGemm(dgates, wIh, false, false, null), x.shape) : null,
      needs.wIh ? launchGemm(dgates, reshape(x, [steps * n, x.shape[2]]), true, false, null) : null,
      needs.wHh ? weightHh() : null,
      dbIh,
      dbHh,
      needs.wHr && wHr ? launchGemm(dprojected!, unprojected, true, false, null) : null,
      needs.h0 ? dh : null,
      needs.c0 ? dc : null,
      null,
    ];
  },
});

/** Gradients of the operands as a recorded computation. */
function recordedGradients(
  operands: RecurrentOperands,
  mode: RecurrentMode,
  needs: readonly boolean[],
  grads: readonly (Tensor | null)[],
): (Tensor | null)[] {
  const inputs = operands.map((t) => t && asOperand(t)) as unknown as RecurrentOperands;
  const wanted = inputs.flatMap((operand, i) => (needs[i] && operand ? [operand] : []));
  const outputs = plain(inputs, mode).flatMap((y, i) => (grads[i] ? [{ y, g: grads[i] as Tensor }] : []));
  const found = grad(
    outputs.map(({ y }) => y),
    wanted,
    { gradOutputs: outputs.map(({ g }) => g), createGraph: true, allowUnused: true },
  );
  let next = 0;
  return inputs.map((operand, i) => (needs[i] && operand ? found[next++] : null));
}

// Generated from kernels/include/evenkeel.h by scripts/generate_abi.ts; do not edit.
import type { AddressCalls } from '../address_calls.ts';
import { addressesOfBlocks, addressesOfRows, materializeBlock, materializeRow, spatialSize } from '../operand.ts';
import type { Launches } from './launches.ts';

/**
 * Launches by addresses. Operands whose values were deferred are computed first, so no kernel runs between the arguments of another; then the
 * operands are held in place, and the kernel is called.
 */
export class AddressLaunches implements Launches {
  private readonly backend: AddressCalls;
  constructor(backend: AddressCalls) {
    this.backend = backend;
  }

  fill(caller: string, { out, value }: Parameters<Launches['fill']>[1]): void {
    const { backend } = this;
    out.materialize();
    const n = out.size;
    const status = backend.kernels.fill(
      out.code,
      out.pin(),
      n,
      value,
    );
    backend.check(caller, status);
  }

  arange(caller: string, { out, start, step }: Parameters<Launches['arange']>[1]): void {
    const { backend } = this;
    out.materialize();
    const n = out.size;
    const status = backend.kernels.arange(
      out.code,
      out.pin(),
      n,
      start,
      step,
    );
    backend.check(caller, status);
  }

  cast(caller: string, { x, out }: Parameters<Launches['cast']>[1]): void {
    const { backend } = this;
    x.materialize();
    out.materialize();
    const n = x.size;
    const status = backend.kernels.cast(
      x.code,
      out.code,
      x.pin(),
      out.pin(),
      n,
    );
    backend.check(caller, status);
  }

  copyStrided(caller: string, { x, out, shape, xStrides, outStrides }: Parameters<Launches['copyStrided']>[1]): void {
    const { backend } = this;
    x.materialize();
    out.materialize();
    const size = x.itemSize;
    const status = backend.kernels.copyStrided(
      size,
      x.pin(),
      out.pin(),
      shape.length,
      backend.ints(shape),
      backend.ints(xStrides),
      backend.ints(outStrides),
    );
    backend.check(caller, status);
  }

  copyBlocks(caller: string, { table }: Parameters<Launches['copyBlocks']>[1]): void {
    const { backend } = this;
    for (const row of table) materializeBlock(row);
    const status = backend.kernels.copyBlocks(
      backend.doubles(addressesOfBlocks(table)),
      table.length,
    );
    backend.check(caller, status);
  }

  unary(caller: string, { op, x, out, p0, p1 }: Parameters<Launches['unary']>[1]): void {
    const { backend } = this;
    x.materialize();
    out.materialize();
    const n = x.size;
    const status = backend.kernels.unary(
      op,
      x.code,
      x.pin(),
      out.pin(),
      n,
      p0,
      p1,
    );
    backend.check(caller, status);
  }

  unaryBackward(caller: string, { op, x, y, g, dx, p0, p1 }: Parameters<Launches['unaryBackward']>[1]): void {
    const { backend } = this;
    x.materialize();
    y.materialize();
    g.materialize();
    dx.materialize();
    const n = dx.size;
    const status = backend.kernels.unaryBackward(
      op,
      x.code,
      x.pin(),
      y.pin(),
      g.pin(),
      dx.pin(),
      n,
      p0,
      p1,
    );
    backend.check(caller, status);
  }

  binary(caller: string, { op, a, b, out, shape, aStrides, bStrides, alpha }: Parameters<Launches['binary']>[1]): void {
    const { backend } = this;
    a.materialize();
    b.materialize();
    out.materialize();
    const status = backend.kernels.binary(
      op,
      a.code,
      a.pin(),
      b.pin(),
      out.pin(),
      shape.length,
      backend.ints(shape),
      backend.ints(aStrides),
      backend.ints(bStrides),
      alpha,
    );
    backend.check(caller, status);
  }

  binaryScalar(caller: string, { op, x, s, reverse, out, alpha }: Parameters<Launches['binaryScalar']>[1]): void {
    const { backend } = this;
    x.materialize();
    out.materialize();
    const n = x.size;
    const status = backend.kernels.binaryScalar(
      op,
      x.code,
      x.pin(),
      s,
      reverse ? 1 : 0,
      out.pin(),
      n,
      alpha,
    );
    backend.check(caller, status);
  }

  where(caller: string, { condition, a, b, out, shape, conditionStrides, aStrides, bStrides }: Parameters<Launches['where']>[1]): void {
    const { backend } = this;
    condition.materialize();
    a.materialize();
    b.materialize();
    out.materialize();
    const size = a.itemSize;
    const status = backend.kernels.where(
      size,
      condition.pin(),
      a.pin(),
      b.pin(),
      out.pin(),
      shape.length,
      backend.ints(shape),
      backend.ints(conditionStrides),
      backend.ints(aStrides),
      backend.ints(bStrides),
    );
    backend.check(caller, status);
  }

  reduce(caller: string, { op, x, out, outer, n, inner }: Parameters<Launches['reduce']>[1]): void {
    const { backend } = this;
    x.materialize();
    out.materialize();
    const status = backend.kernels.reduce(
      op,
      x.code,
      x.pin(),
      out.pin(),
      outer,
      n,
      inner,
    );
    backend.check(caller, status);
  }

  reduceMoments(caller: string, { x, mean, m2, outer, n, inner }: Parameters<Launches['reduceMoments']>[1]): void {
    const { backend } = this;
    x.materialize();
    mean.materialize();
    m2.materialize();
    const status = backend.kernels.reduceMoments(
      x.code,
      x.pin(),
      mean.pin(),
      m2.pin(),
      outer,
      n,
      inner,
    );
    backend.check(caller, status);
  }

  argReduce(caller: string, { op, x, values, indices, outer, n, inner }: Parameters<Launches['argReduce']>[1]): void {
    const { backend } = this;
    x.materialize();
    values?.materialize();
    indices.materialize();
    const status = backend.kernels.argReduce(
      op,
      x.code,
      x.pin(),
      values ? values.pin() : 0,
      indices.pin(),
      outer,
      n,
      inner,
    );
    backend.check(caller, status);
  }

  cumsum(caller: string, { x, out, outer, n, inner, reverse }: Parameters<Launches['cumsum']>[1]): void {
    const { backend } = this;
    x.materialize();
    out.materialize();
    const status = backend.kernels.cumsum(
      x.code,
      x.pin(),
      out.pin(),
      outer,
      n,
      inner,
      reverse ? 1 : 0,
    );
    backend.check(caller, status);
  }

  cumulate(caller: string, { op, x, out, indices, outer, n, inner }: Parameters<Launches['cumulate']>[1]): void {
    const { backend } = this;
    x.materialize();
    out.materialize();
    indices?.materialize();
    const status = backend.kernels.cumulate(
      op,
      x.code,
      x.pin(),
      out.pin(),
      indices ? indices.pin() : 0,
      outer,
      n,
      inner,
    );
    backend.check(caller, status);
  }

  topk(caller: string, { x, values, indices, outer, n, k, largest }: Parameters<Launches['topk']>[1]): void {
    const { backend } = this;
    x.materialize();
    values.materialize();
    indices.materialize();
    const bytes = backend.kernels.topkScratch(n);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.topk(
      x.code,
      x.pin(),
      values.pin(),
      indices.pin(),
      outer,
      n,
      k,
      largest ? 1 : 0,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  ctcLoss(caller: string, { logP, targets, inputLengths, targetLengths, offsets, most, blank, losses, alpha }: Parameters<Launches['ctcLoss']>[1]): void {
    const { backend } = this;
    logP.materialize();
    targets.materialize();
    losses.materialize();
    alpha.materialize();
    const labels = targets.size;
    const steps = logP.shape[0];
    const n = logP.shape[1];
    const classes = logP.shape[2];
    const bytes = backend.kernels.ctcScratch(logP.code, most);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.ctcLoss(
      logP.code,
      logP.pin(),
      targets.pin(),
      labels,
      backend.ints(inputLengths),
      backend.ints(targetLengths),
      backend.ints(offsets),
      steps,
      n,
      classes,
      most,
      blank,
      losses.pin(),
      alpha.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  ctcLossBackward(caller: string, { g, logP, targets, inputLengths, targetLengths, offsets, losses, alpha, dlogP, most, blank, loseInfinite }: Parameters<Launches['ctcLossBackward']>[1]): void {
    const { backend } = this;
    g.materialize();
    logP.materialize();
    targets.materialize();
    losses.materialize();
    alpha.materialize();
    dlogP.materialize();
    const labels = targets.size;
    const steps = logP.shape[0];
    const n = logP.shape[1];
    const classes = logP.shape[2];
    const bytes = backend.kernels.ctcScratch(logP.code, most);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.ctcLossBackward(
      logP.code,
      g.pin(),
      logP.pin(),
      targets.pin(),
      labels,
      backend.ints(inputLengths),
      backend.ints(targetLengths),
      backend.ints(offsets),
      losses.pin(),
      alpha.pin(),
      dlogP.pin(),
      steps,
      n,
      classes,
      most,
      blank,
      loseInfinite ? 1 : 0,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  softmax(caller: string, { log, x, out, outer, n, inner }: Parameters<Launches['softmax']>[1]): void {
    const { backend } = this;
    x.materialize();
    out.materialize();
    const status = backend.kernels.softmax(
      log ? 1 : 0,
      x.code,
      x.pin(),
      out.pin(),
      outer,
      n,
      inner,
    );
    backend.check(caller, status);
  }

  softmaxBackward(caller: string, { log, y, g, dx, outer, n, inner }: Parameters<Launches['softmaxBackward']>[1]): void {
    const { backend } = this;
    y.materialize();
    g.materialize();
    dx.materialize();
    const status = backend.kernels.softmaxBackward(
      log ? 1 : 0,
      y.code,
      y.pin(),
      g.pin(),
      dx.pin(),
      outer,
      n,
      inner,
    );
    backend.check(caller, status);
  }

  uniform(caller: string, { state, used, out, from, to }: Parameters<Launches['uniform']>[1]): void {
    const { backend } = this;
    state.materialize();
    out.materialize();
    const n = out.size;
    const bytes = backend.kernels.randomScratch(n);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.uniform(
      out.code,
      state.pin(),
      used,
      out.pin(),
      n,
      from,
      to,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  normal(caller: string, { state, used, out, mean, std }: Parameters<Launches['normal']>[1]): void {
    const { backend } = this;
    state.materialize();
    out.materialize();
    const n = out.size;
    const bytes = backend.kernels.randomScratch(n);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.normal(
      out.code,
      state.pin(),
      used,
      out.pin(),
      n,
      mean,
      std,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  bernoulli(caller: string, { state, used, p, out }: Parameters<Launches['bernoulli']>[1]): void {
    const { backend } = this;
    state.materialize();
    p.materialize();
    out.materialize();
    const n = out.size;
    const bytes = backend.kernels.randomScratch(n);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.bernoulli(
      p.code,
      state.pin(),
      used,
      p.pin(),
      out.pin(),
      n,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  randomMask(caller: string, { state, used, out, p, value }: Parameters<Launches['randomMask']>[1]): void {
    const { backend } = this;
    state.materialize();
    out.materialize();
    const n = out.size;
    const bytes = backend.kernels.randomScratch(n);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.randomMask(
      out.code,
      state.pin(),
      used,
      out.pin(),
      n,
      p,
      value,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  randomIntegers(caller: string, { state, used, out, fromHigh, fromLow, rangeHigh, rangeLow }: Parameters<Launches['randomIntegers']>[1]): void {
    const { backend } = this;
    state.materialize();
    out.materialize();
    const n = out.size;
    const bytes = backend.kernels.randomScratch(n);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.randomIntegers(
      out.code,
      state.pin(),
      used,
      out.pin(),
      n,
      fromHigh,
      fromLow,
      rangeHigh,
      rangeLow,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  randomPermutation(caller: string, { state, used, out }: Parameters<Launches['randomPermutation']>[1]): void {
    const { backend } = this;
    state.materialize();
    out.materialize();
    const n = out.size;
    const status = backend.kernels.randomPermutation(
      state.pin(),
      used,
      out.pin(),
      n,
    );
    backend.check(caller, status);
  }

  recurrent(caller: string, { cell, reverse, projects, wHh, bHh, wHr, h0, c0, gates, hidden, cells, unprojected, y, steps, n, rows, h, out }: Parameters<Launches['recurrent']>[1]): void {
    const { backend } = this;
    wHh.materialize();
    bHh?.materialize();
    wHr?.materialize();
    h0.materialize();
    c0?.materialize();
    gates.materialize();
    hidden?.materialize();
    cells?.materialize();
    unprojected?.materialize();
    y.materialize();
    const bytes = backend.kernels.recurrentScratch(wHh.code, n, rows, h, out, projects ? 1 : 0, 0);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.recurrent(
      cell,
      wHh.code,
      reverse ? 1 : 0,
      projects ? 1 : 0,
      wHh.pin(),
      bHh ? bHh.pin() : 0,
      wHr ? wHr.pin() : 0,
      h0.pin(),
      c0 ? c0.pin() : 0,
      gates.pin(),
      hidden ? hidden.pin() : 0,
      cells ? cells.pin() : 0,
      unprojected ? unprojected.pin() : 0,
      y.pin(),
      steps,
      n,
      rows,
      h,
      out,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  recurrentBackward(caller: string, { cell, reverse, projects, wHh, wHr, h0, c0, gates, hidden, cells, y, dy, dh, dc, dgates, dhidden, dprojected, steps, n, rows, h, out }: Parameters<Launches['recurrentBackward']>[1]): void {
    const { backend } = this;
    wHh.materialize();
    wHr?.materialize();
    h0.materialize();
    c0?.materialize();
    gates.materialize();
    hidden?.materialize();
    cells?.materialize();
    y.materialize();
    dy?.materialize();
    dh.materialize();
    dc?.materialize();
    dgates.materialize();
    dhidden?.materialize();
    dprojected?.materialize();
    const bytes = backend.kernels.recurrentScratch(wHh.code, n, rows, h, out, projects ? 1 : 0, 1);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.recurrentBackward(
      cell,
      wHh.code,
      reverse ? 1 : 0,
      projects ? 1 : 0,
      wHh.pin(),
      wHr ? wHr.pin() : 0,
      h0.pin(),
      c0 ? c0.pin() : 0,
      gates.pin(),
      hidden ? hidden.pin() : 0,
      cells ? cells.pin() : 0,
      y.pin(),
      dy ? dy.pin() : 0,
      dh.pin(),
      dc ? dc.pin() : 0,
      dgates.pin(),
      dhidden ? dhidden.pin() : 0,
      dprojected ? dprojected.pin() : 0,
      steps,
      n,
      rows,
      h,
      out,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  indexSelect(caller: string, { x, index, out, outer, n, count, inner }: Parameters<Launches['indexSelect']>[1]): void {
    const { backend } = this;
    x.materialize();
    index.materialize();
    out.materialize();
    const size = x.itemSize;
    const status = backend.kernels.indexSelect(
      size,
      x.pin(),
      index.pin(),
      out.pin(),
      outer,
      n,
      count,
      inner,
    );
    backend.check(caller, status);
  }

  indexAdd(caller: string, { x, index, out, outer, n, count, inner }: Parameters<Launches['indexAdd']>[1]): void {
    const { backend } = this;
    x.materialize();
    index.materialize();
    out.materialize();
    const status = backend.kernels.indexAdd(
      x.code,
      x.pin(),
      index.pin(),
      out.pin(),
      outer,
      n,
      count,
      inner,
    );
    backend.check(caller, status);
  }

  indexPut(caller: string, { x, index, out, outer, n, count, inner }: Parameters<Launches['indexPut']>[1]): void {
    const { backend } = this;
    x.materialize();
    index.materialize();
    out.materialize();
    const size = x.itemSize;
    const status = backend.kernels.indexPut(
      size,
      x.pin(),
      index.pin(),
      out.pin(),
      outer,
      n,
      count,
      inner,
    );
    backend.check(caller, status);
  }

  indexPositions(caller: string, { index, positions, shape, indexStrides, ramp, n, step, wrap, accumulate }: Parameters<Launches['indexPositions']>[1]): void {
    const { backend } = this;
    index.materialize();
    positions.materialize();
    const status = backend.kernels.indexPositions(
      index.pin(),
      positions.pin(),
      shape.length,
      backend.ints(shape),
      backend.ints(indexStrides),
      ramp ? backend.ints(ramp) : 0,
      n,
      step,
      wrap ? 1 : 0,
      accumulate ? 1 : 0,
    );
    backend.check(caller, status);
  }

  gather(caller: string, { x, index, out, outer, n, count, inner }: Parameters<Launches['gather']>[1]): void {
    const { backend } = this;
    x.materialize();
    index.materialize();
    out.materialize();
    const size = x.itemSize;
    const status = backend.kernels.gather(
      size,
      x.pin(),
      index.pin(),
      out.pin(),
      outer,
      n,
      count,
      inner,
    );
    backend.check(caller, status);
  }

  scatterAdd(caller: string, { x, index, out, outer, n, count, inner }: Parameters<Launches['scatterAdd']>[1]): void {
    const { backend } = this;
    x.materialize();
    index.materialize();
    out.materialize();
    const status = backend.kernels.scatterAdd(
      x.code,
      x.pin(),
      index.pin(),
      out.pin(),
      outer,
      n,
      count,
      inner,
    );
    backend.check(caller, status);
  }

  scatterReduce(caller: string, { op, x, index, out, outer, n, count, inner }: Parameters<Launches['scatterReduce']>[1]): void {
    const { backend } = this;
    x.materialize();
    index.materialize();
    out.materialize();
    const status = backend.kernels.scatterReduce(
      op,
      x.code,
      x.pin(),
      index.pin(),
      out.pin(),
      outer,
      n,
      count,
      inner,
    );
    backend.check(caller, status);
  }

  searchsorted(caller: string, { sorted, step, order, values, out, rows, n, count, right }: Parameters<Launches['searchsorted']>[1]): void {
    const { backend } = this;
    sorted.materialize();
    order?.materialize();
    values.materialize();
    out.materialize();
    const status = backend.kernels.searchsorted(
      sorted.code,
      sorted.pin(),
      step,
      order ? order.pin() : 0,
      values.pin(),
      out.pin(),
      rows,
      n,
      count,
      right ? 1 : 0,
    );
    backend.check(caller, status);
  }

  gemm(caller: string, { transposeA, transposeB, batch, m, n, k, a, aStep, b, bStep, bias, c, accumulate }: Parameters<Launches['gemm']>[1]): void {
    const { backend } = this;
    a.materialize();
    b.materialize();
    bias?.materialize();
    c.materialize();
    const bytes = backend.kernels.gemmScratch(a.code, batch, m, n, k);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.gemm(
      a.code,
      transposeA ? 1 : 0,
      transposeB ? 1 : 0,
      batch,
      m,
      n,
      k,
      a.pin(),
      aStep,
      b.pin(),
      bStep,
      bias ? bias.pin() : 0,
      c.pin(),
      accumulate ? 1 : 0,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  integerMatmul(caller: string, { batch, m, n, k, a, aStep, b, bStep, c }: Parameters<Launches['integerMatmul']>[1]): void {
    const { backend } = this;
    a.materialize();
    b.materialize();
    c.materialize();
    const status = backend.kernels.integerMatmul(
      a.code,
      batch,
      m,
      n,
      k,
      a.pin(),
      aStep,
      b.pin(),
      bStep,
      c.pin(),
    );
    backend.check(caller, status);
  }

  conv(caller: string, { geometry, x, xNorm, xRelu, w, bias, y, yMean, yM2, yNorm, residual, yRelu }: Parameters<Launches['conv']>[1]): void {
    const { backend } = this;
    x.materialize();
    xNorm?.materialize();
    w.materialize();
    bias?.materialize();
    y.materialize();
    yMean?.materialize();
    yM2?.materialize();
    yNorm?.materialize();
    residual?.materialize();
    const geometryAddress = backend.ints(geometry);
    const bytes = backend.kernels.convScratch(0, x.code, geometryAddress);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.conv(
      x.code,
      geometryAddress,
      x.pin(),
      xNorm ? xNorm.pin() : 0,
      xRelu ? 1 : 0,
      w.pin(),
      bias ? bias.pin() : 0,
      y.pin(),
      yMean ? yMean.pin() : 0,
      yM2 ? yM2.pin() : 0,
      yNorm ? yNorm.pin() : 0,
      residual ? residual.pin() : 0,
      yRelu,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  convBackwardData(caller: string, { geometry, dy, dyX, dyNorm, dyRelu, w, dx, x, xNorm, xRelu, xLimited, plus, sumDx, sumDxXmu }: Parameters<Launches['convBackwardData']>[1]): void {
    const { backend } = this;
    dy.materialize();
    dyX?.materialize();
    dyNorm?.materialize();
    w.materialize();
    dx.materialize();
    x?.materialize();
    xNorm?.materialize();
    xLimited?.materialize();
    plus?.materialize();
    sumDx?.materialize();
    sumDxXmu?.materialize();
    const geometryAddress = backend.ints(geometry);
    const bytes = backend.kernels.convScratch(1, dy.code, geometryAddress);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.convBackwardData(
      dy.code,
      geometryAddress,
      dy.pin(),
      dyX ? dyX.pin() : 0,
      dyNorm ? dyNorm.pin() : 0,
      dyRelu ? 1 : 0,
      w.pin(),
      dx.pin(),
      x ? x.pin() : 0,
      xNorm ? xNorm.pin() : 0,
      xRelu ? 1 : 0,
      xLimited ? xLimited.pin() : 0,
      plus ? plus.pin() : 0,
      sumDx ? sumDx.pin() : 0,
      sumDxXmu ? sumDxXmu.pin() : 0,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  convBackwardWeight(caller: string, { geometry, x, xNorm, xRelu, dy, dyX, dyNorm, dyRelu, dw, dbias }: Parameters<Launches['convBackwardWeight']>[1]): void {
    const { backend } = this;
    x.materialize();
    xNorm?.materialize();
    dy.materialize();
    dyX?.materialize();
    dyNorm?.materialize();
    dw.materialize();
    dbias?.materialize();
    const geometryAddress = backend.ints(geometry);
    const bytes = backend.kernels.convScratch(2, x.code, geometryAddress);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.convBackwardWeight(
      x.code,
      geometryAddress,
      x.pin(),
      xNorm ? xNorm.pin() : 0,
      xRelu ? 1 : 0,
      dy.pin(),
      dyX ? dyX.pin() : 0,
      dyNorm ? dyNorm.pin() : 0,
      dyRelu ? 1 : 0,
      dw.pin(),
      dbias ? dbias.pin() : 0,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  maxPool(caller: string, { geometry, x, xNorm, xRelu, y, indices }: Parameters<Launches['maxPool']>[1]): void {
    const { backend } = this;
    x.materialize();
    xNorm?.materialize();
    y.materialize();
    indices?.materialize();
    const geometryAddress = backend.ints(geometry);
    const status = backend.kernels.maxPool(
      x.code,
      geometryAddress,
      x.pin(),
      xNorm ? xNorm.pin() : 0,
      xRelu ? 1 : 0,
      y.pin(),
      indices ? indices.pin() : 0,
    );
    backend.check(caller, status);
  }

  maxPoolBackward(caller: string, { geometry, dy, indices, dx }: Parameters<Launches['maxPoolBackward']>[1]): void {
    const { backend } = this;
    dy.materialize();
    indices.materialize();
    dx.materialize();
    const geometryAddress = backend.ints(geometry);
    const status = backend.kernels.maxPoolBackward(
      dy.code,
      geometryAddress,
      dy.pin(),
      indices.pin(),
      dx.pin(),
    );
    backend.check(caller, status);
  }

  avgPool(caller: string, { geometry, countIncludePad, divisor, x, xNorm, xRelu, y }: Parameters<Launches['avgPool']>[1]): void {
    const { backend } = this;
    x.materialize();
    xNorm?.materialize();
    y.materialize();
    const geometryAddress = backend.ints(geometry);
    const status = backend.kernels.avgPool(
      x.code,
      geometryAddress,
      countIncludePad ? 1 : 0,
      divisor,
      x.pin(),
      xNorm ? xNorm.pin() : 0,
      xRelu ? 1 : 0,
      y.pin(),
    );
    backend.check(caller, status);
  }

  avgPoolBackward(caller: string, { geometry, countIncludePad, divisor, dy, dx }: Parameters<Launches['avgPoolBackward']>[1]): void {
    const { backend } = this;
    dy.materialize();
    dx.materialize();
    const geometryAddress = backend.ints(geometry);
    const status = backend.kernels.avgPoolBackward(
      dy.code,
      geometryAddress,
      countIncludePad ? 1 : 0,
      divisor,
      dy.pin(),
      dx.pin(),
    );
    backend.check(caller, status);
  }

  unfold(caller: string, { geometry, x, columns }: Parameters<Launches['unfold']>[1]): void {
    const { backend } = this;
    x.materialize();
    columns.materialize();
    const geometryAddress = backend.ints(geometry);
    const status = backend.kernels.unfold(
      x.code,
      geometryAddress,
      x.pin(),
      columns.pin(),
    );
    backend.check(caller, status);
  }

  fold(caller: string, { geometry, columns, y }: Parameters<Launches['fold']>[1]): void {
    const { backend } = this;
    columns.materialize();
    y.materialize();
    const geometryAddress = backend.ints(geometry);
    const status = backend.kernels.fold(
      columns.code,
      geometryAddress,
      columns.pin(),
      y.pin(),
    );
    backend.check(caller, status);
  }

  pad(caller: string, { mode, geometry, value, x, y }: Parameters<Launches['pad']>[1]): void {
    const { backend } = this;
    x.materialize();
    y.materialize();
    const geometryAddress = backend.ints(geometry);
    const status = backend.kernels.pad(
      x.code,
      mode,
      geometryAddress,
      value,
      x.pin(),
      y.pin(),
    );
    backend.check(caller, status);
  }

  padBackward(caller: string, { mode, geometry, dy, dx }: Parameters<Launches['padBackward']>[1]): void {
    const { backend } = this;
    dy.materialize();
    dx.materialize();
    const geometryAddress = backend.ints(geometry);
    const status = backend.kernels.padBackward(
      dy.code,
      mode,
      geometryAddress,
      dy.pin(),
      dx.pin(),
    );
    backend.check(caller, status);
  }

  resample(caller: string, { geometry, scaleH, scaleW, x, y }: Parameters<Launches['resample']>[1]): void {
    const { backend } = this;
    x.materialize();
    y.materialize();
    const geometryAddress = backend.ints(geometry);
    const bytes = backend.kernels.resampleScratch(x.code, geometryAddress, scaleH, scaleW);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.resample(
      x.code,
      geometryAddress,
      scaleH,
      scaleW,
      x.pin(),
      y.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  gridSample(caller: string, { geometry, x, grid, y }: Parameters<Launches['gridSample']>[1]): void {
    const { backend } = this;
    x.materialize();
    grid.materialize();
    y.materialize();
    const geometryAddress = backend.ints(geometry);
    const status = backend.kernels.gridSample(
      x.code,
      geometryAddress,
      x.pin(),
      grid.pin(),
      y.pin(),
    );
    backend.check(caller, status);
  }

  gridSampleBackward(caller: string, { geometry, dy, grid, dx }: Parameters<Launches['gridSampleBackward']>[1]): void {
    const { backend } = this;
    dy.materialize();
    grid.materialize();
    dx.materialize();
    const geometryAddress = backend.ints(geometry);
    const status = backend.kernels.gridSampleBackward(
      dy.code,
      geometryAddress,
      dy.pin(),
      grid.pin(),
      dx.pin(),
    );
    backend.check(caller, status);
  }

  gridSampleBackwardGrid(caller: string, { geometry, dy, x, grid, dgrid }: Parameters<Launches['gridSampleBackwardGrid']>[1]): void {
    const { backend } = this;
    dy.materialize();
    x.materialize();
    grid.materialize();
    dgrid.materialize();
    const geometryAddress = backend.ints(geometry);
    const status = backend.kernels.gridSampleBackwardGrid(
      dy.code,
      geometryAddress,
      dy.pin(),
      x.pin(),
      grid.pin(),
      dgrid.pin(),
    );
    backend.check(caller, status);
  }

  batchNormStats(caller: string, { x, mean, m2 }: Parameters<Launches['batchNormStats']>[1]): void {
    const { backend } = this;
    x.materialize();
    mean.materialize();
    m2.materialize();
    const n = x.shape[0];
    const c = x.shape[1];
    const s = spatialSize(x);
    const format = x.formatCode;
    const bytes = backend.kernels.batchNormScratch(n, c, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.batchNormStats(
      x.code,
      x.pin(),
      n,
      c,
      s,
      format,
      mean.pin(),
      m2.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  batchNormCombine(caller: string, { parts, pitch, counts, means, m2s, count, mean, m2 }: Parameters<Launches['batchNormCombine']>[1]): void {
    const { backend } = this;
    counts.materialize();
    means.materialize();
    m2s.materialize();
    count.materialize();
    mean.materialize();
    m2.materialize();
    const c = mean.size;
    const status = backend.kernels.batchNormCombine(
      parts,
      c,
      pitch,
      counts.pin(),
      means.pin(),
      m2s.pin(),
      count.pin(),
      mean.pin(),
      m2.pin(),
    );
    backend.check(caller, status);
  }

  batchNormInvstd(caller: string, { count, m2, eps, invstd }: Parameters<Launches['batchNormInvstd']>[1]): void {
    const { backend } = this;
    m2.materialize();
    invstd.materialize();
    const c = m2.size;
    const status = backend.kernels.batchNormInvstd(
      c,
      count,
      m2.pin(),
      eps,
      invstd.pin(),
    );
    backend.check(caller, status);
  }

  batchNormUpdateRunning(caller: string, { count, mean, m2, momentum, tracked, runningMean, runningVar }: Parameters<Launches['batchNormUpdateRunning']>[1]): void {
    const { backend } = this;
    mean.materialize();
    m2.materialize();
    tracked?.materialize();
    runningMean?.materialize();
    runningVar?.materialize();
    const c = mean.size;
    const status = backend.kernels.batchNormUpdateRunning(
      (runningMean ?? runningVar)!.code,
      c,
      count,
      mean.pin(),
      m2.pin(),
      momentum,
      tracked ? tracked.pin() : 0,
      runningMean ? runningMean.pin() : 0,
      runningVar ? runningVar.pin() : 0,
    );
    backend.check(caller, status);
  }

  batchNormCount(caller: string, { tracked }: Parameters<Launches['batchNormCount']>[1]): void {
    const { backend } = this;
    tracked.materialize();
    const status = backend.kernels.batchNormCount(
      tracked.pin(),
    );
    backend.check(caller, status);
  }

  batchNormFromRunning(caller: string, { runningMean, runningVar, eps, mean, invstd }: Parameters<Launches['batchNormFromRunning']>[1]): void {
    const { backend } = this;
    runningMean.materialize();
    runningVar.materialize();
    mean.materialize();
    invstd.materialize();
    const c = runningMean.size;
    const status = backend.kernels.batchNormFromRunning(
      runningMean.code,
      c,
      runningMean.pin(),
      runningVar.pin(),
      eps,
      mean.pin(),
      invstd.pin(),
    );
    backend.check(caller, status);
  }

  batchNormParameterGradients(caller: string, { invstd, sumDy, sumDyXmu, dweight, dbias }: Parameters<Launches['batchNormParameterGradients']>[1]): void {
    const { backend } = this;
    invstd.materialize();
    sumDy.materialize();
    sumDyXmu.materialize();
    dweight?.materialize();
    dbias?.materialize();
    const c = invstd.size;
    const status = backend.kernels.batchNormParameterGradients(
      (dweight ?? dbias)!.code,
      c,
      invstd.pin(),
      sumDy.pin(),
      sumDyXmu.pin(),
      dweight ? dweight.pin() : 0,
      dbias ? dbias.pin() : 0,
    );
    backend.check(caller, status);
  }

  batchNormCoefficients(caller: string, { count, mean, invstd, weight, bias, relu, sumDy, sumDyXmu, coefficients }: Parameters<Launches['batchNormCoefficients']>[1]): void {
    const { backend } = this;
    mean?.materialize();
    invstd?.materialize();
    weight?.materialize();
    bias?.materialize();
    sumDy?.materialize();
    sumDyXmu?.materialize();
    coefficients.materialize();
    const c = coefficients.shape[1];
    const status = backend.kernels.batchNormCoefficients(
      coefficients.code,
      c,
      count,
      mean ? mean.pin() : 0,
      invstd ? invstd.pin() : 0,
      weight ? weight.pin() : 0,
      bias ? bias.pin() : 0,
      relu,
      sumDy ? sumDy.pin() : 0,
      sumDyXmu ? sumDyXmu.pin() : 0,
      coefficients.pin(),
    );
    backend.check(caller, status);
  }

  batchNormApply(caller: string, { x, mean, invstd, weight, bias, relu, residual, y }: Parameters<Launches['batchNormApply']>[1]): void {
    const { backend } = this;
    x.materialize();
    mean?.materialize();
    invstd?.materialize();
    weight?.materialize();
    bias?.materialize();
    residual?.materialize();
    y.materialize();
    const n = x.shape[0];
    const c = x.shape[1];
    const s = spatialSize(x);
    const format = x.formatCode;
    const bytes = backend.kernels.batchNormScratch(n, c, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.batchNormApply(
      x.code,
      x.pin(),
      n,
      c,
      s,
      format,
      mean ? mean.pin() : 0,
      invstd ? invstd.pin() : 0,
      weight ? weight.pin() : 0,
      bias ? bias.pin() : 0,
      relu,
      residual ? residual.pin() : 0,
      y.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  batchNormFunction(caller: string, { op, x, mean, invstd, weight, bias, p0, p1, y, dy, out }: Parameters<Launches['batchNormFunction']>[1]): void {
    const { backend } = this;
    x.materialize();
    mean.materialize();
    invstd.materialize();
    weight?.materialize();
    bias?.materialize();
    y?.materialize();
    dy?.materialize();
    out.materialize();
    const n = x.shape[0];
    const c = x.shape[1];
    const s = spatialSize(x);
    const format = x.formatCode;
    const bytes = backend.kernels.batchNormScratch(n, c, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.batchNormFunction(
      op,
      x.code,
      x.pin(),
      n,
      c,
      s,
      format,
      mean.pin(),
      invstd.pin(),
      weight ? weight.pin() : 0,
      bias ? bias.pin() : 0,
      p0,
      p1,
      y ? y.pin() : 0,
      dy ? dy.pin() : 0,
      out.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  batchNormForward(caller: string, { x, eps, weight, bias, relu, mean, m2, invstd, y }: Parameters<Launches['batchNormForward']>[1]): void {
    const { backend } = this;
    x.materialize();
    weight?.materialize();
    bias?.materialize();
    mean.materialize();
    m2.materialize();
    invstd.materialize();
    y.materialize();
    const n = x.shape[0];
    const c = x.shape[1];
    const s = spatialSize(x);
    const format = x.formatCode;
    const bytes = backend.kernels.batchNormScratch(n, c, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.batchNormForward(
      x.code,
      x.pin(),
      n,
      c,
      s,
      format,
      eps,
      weight ? weight.pin() : 0,
      bias ? bias.pin() : 0,
      relu,
      mean.pin(),
      m2.pin(),
      invstd.pin(),
      y.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  batchNormBackwardReduce(caller: string, { x, dy, mean, invstd, weight, bias, relu, sumDy, sumDyXmu }: Parameters<Launches['batchNormBackwardReduce']>[1]): void {
    const { backend } = this;
    x.materialize();
    dy.materialize();
    mean.materialize();
    invstd?.materialize();
    weight?.materialize();
    bias?.materialize();
    sumDy.materialize();
    sumDyXmu.materialize();
    const n = x.shape[0];
    const c = x.shape[1];
    const s = spatialSize(x);
    const format = x.formatCode;
    const bytes = backend.kernels.batchNormScratch(n, c, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.batchNormBackwardReduce(
      x.code,
      x.pin(),
      dy.pin(),
      n,
      c,
      s,
      format,
      mean.pin(),
      invstd ? invstd.pin() : 0,
      weight ? weight.pin() : 0,
      bias ? bias.pin() : 0,
      relu,
      sumDy.pin(),
      sumDyXmu.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  batchNormBackwardApply(caller: string, { x, dy, count, mean, invstd, weight, bias, relu, sumDy, sumDyXmu, dx }: Parameters<Launches['batchNormBackwardApply']>[1]): void {
    const { backend } = this;
    x?.materialize();
    dy.materialize();
    mean?.materialize();
    invstd.materialize();
    weight?.materialize();
    bias?.materialize();
    sumDy?.materialize();
    sumDyXmu?.materialize();
    dx.materialize();
    const n = dy.shape[0];
    const c = dy.shape[1];
    const s = spatialSize(dy);
    const format = dy.formatCode;
    const bytes = backend.kernels.batchNormScratch(n, c, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.batchNormBackwardApply(
      dy.code,
      x ? x.pin() : 0,
      dy.pin(),
      n,
      c,
      s,
      format,
      count,
      mean ? mean.pin() : 0,
      invstd.pin(),
      weight ? weight.pin() : 0,
      bias ? bias.pin() : 0,
      relu,
      sumDy ? sumDy.pin() : 0,
      sumDyXmu ? sumDyXmu.pin() : 0,
      dx.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  batchNormBackwardJoined(caller: string, { x, dy, rows, c, norm, relu, plus, plusPitch, dx }: Parameters<Launches['batchNormBackwardJoined']>[1]): void {
    const { backend } = this;
    x.materialize();
    dy.materialize();
    norm.materialize();
    plus.materialize();
    dx.materialize();
    const status = backend.kernels.batchNormBackwardJoined(
      x.code,
      x.pin(),
      dy.pin(),
      rows,
      c,
      norm.pin(),
      relu ? 1 : 0,
      plus.pin(),
      plusPitch,
      dx.pin(),
    );
    backend.check(caller, status);
  }

  batchNormBackward(caller: string, { x, dy, mean, invstd, weight, bias, relu, sumDy, sumDyXmu, dx }: Parameters<Launches['batchNormBackward']>[1]): void {
    const { backend } = this;
    x.materialize();
    dy.materialize();
    mean.materialize();
    invstd.materialize();
    weight?.materialize();
    bias?.materialize();
    sumDy.materialize();
    sumDyXmu.materialize();
    dx.materialize();
    const n = x.shape[0];
    const c = x.shape[1];
    const s = spatialSize(x);
    const format = x.formatCode;
    const bytes = backend.kernels.batchNormScratch(n, c, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.batchNormBackward(
      x.code,
      x.pin(),
      dy.pin(),
      n,
      c,
      s,
      format,
      mean.pin(),
      invstd.pin(),
      weight ? weight.pin() : 0,
      bias ? bias.pin() : 0,
      relu,
      sumDy.pin(),
      sumDyXmu.pin(),
      dx.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  rowNormForward(caller: string, { x, n, g, k, s, centred, eps, weight, bias, mean, m2, invstd, y }: Parameters<Launches['rowNormForward']>[1]): void {
    const { backend } = this;
    x.materialize();
    weight?.materialize();
    bias?.materialize();
    mean.materialize();
    m2.materialize();
    invstd.materialize();
    y.materialize();
    const format = x.formatCode;
    const bytes = backend.kernels.rowNormScratch(n, g, k, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.rowNormForward(
      x.code,
      x.pin(),
      n,
      g,
      k,
      s,
      format,
      centred ? 1 : 0,
      eps,
      weight ? weight.pin() : 0,
      bias ? bias.pin() : 0,
      mean.pin(),
      m2.pin(),
      invstd.pin(),
      y.pin(),
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  rowNormBackward(caller: string, { x, dy, n, g, k, s, centred, mean, invstd, weight, dx, dweight, dbias }: Parameters<Launches['rowNormBackward']>[1]): void {
    const { backend } = this;
    x.materialize();
    dy.materialize();
    mean.materialize();
    invstd.materialize();
    weight?.materialize();
    dx?.materialize();
    dweight?.materialize();
    dbias?.materialize();
    const format = x.formatCode;
    const bytes = backend.kernels.rowNormScratch(n, g, k, s, format);
    const scratch = backend.takeScratch(bytes);
    const status = backend.kernels.rowNormBackward(
      x.code,
      x.pin(),
      dy.pin(),
      n,
      g,
      k,
      s,
      format,
      centred ? 1 : 0,
      mean.pin(),
      invstd.pin(),
      weight ? weight.pin() : 0,
      dx ? dx.pin() : 0,
      dweight ? dweight.pin() : 0,
      dbias ? dbias.pin() : 0,
      scratch,
    );
    backend.giveScratchBack();
    backend.check(caller, status);
  }

  optimSgd(caller: string, { table, lr, momentum, dampening, weightDecay, nesterov, maximize, first }: Parameters<Launches['optimSgd']>[1]): void {
    const { backend } = this;
    for (const row of table) materializeRow(row);
    const status = backend.kernels.optimSgd(
      table[0].parameter.code,
      backend.doubles(addressesOfRows(table)),
      table.length,
      lr,
      momentum,
      dampening,
      weightDecay,
      nesterov ? 1 : 0,
      maximize ? 1 : 0,
      first ? 1 : 0,
    );
    backend.check(caller, status);
  }

  optimAdam(caller: string, { table, lr, beta1, beta2, eps, weightDecay, decoupled, amsgrad, maximize, step }: Parameters<Launches['optimAdam']>[1]): void {
    const { backend } = this;
    for (const row of table) materializeRow(row);
    const status = backend.kernels.optimAdam(
      table[0].parameter.code,
      backend.doubles(addressesOfRows(table)),
      table.length,
      lr,
      beta1,
      beta2,
      eps,
      weightDecay,
      decoupled ? 1 : 0,
      amsgrad ? 1 : 0,
      maximize ? 1 : 0,
      step,
    );
    backend.check(caller, status);
  }

  optimRmsprop(caller: string, { table, lr, alpha, eps, weightDecay, momentum, centered, maximize }: Parameters<Launches['optimRmsprop']>[1]): void {
    const { backend } = this;
    for (const row of table) materializeRow(row);
    const status = backend.kernels.optimRmsprop(
      table[0].parameter.code,
      backend.doubles(addressesOfRows(table)),
      table.length,
      lr,
      alpha,
      eps,
      weightDecay,
      momentum,
      centered ? 1 : 0,
      maximize ? 1 : 0,
    );
    backend.check(caller, status);
  }

  optimGradNorm(caller: string, { table, p, result }: Parameters<Launches['optimGradNorm']>[1]): void {
    const { backend } = this;
    for (const row of table) materializeRow(row);
    result.materialize();
    const status = backend.kernels.optimGradNorm(
      table[0].parameter.code,
      backend.doubles(addressesOfRows(table)),
      table.length,
      p,
      result.pin(),
    );
    backend.check(caller, status);
  }

  optimGradScale(caller: string, { table, scale, limit }: Parameters<Launches['optimGradScale']>[1]): void {
    const { backend } = this;
    for (const row of table) materializeRow(row);
    const status = backend.kernels.optimGradScale(
      table[0].parameter.code,
      backend.doubles(addressesOfRows(table)),
      table.length,
      scale,
      limit,
    );
    backend.check(caller, status);
  }
}

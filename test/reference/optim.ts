// One step of each optimizer for one number, in float64: torch/optim/{sgd,adam,rmsprop}.py, line by line.

export interface Slot {
  p: number;
  g: number;
  state: [number, number, number];
}

export interface SgdOptions {
  lr: number;
  momentum: number;
  dampening: number;
  weightDecay: number;
  nesterov: boolean;
  maximize: boolean;
  first: boolean;
}

export function sgd(slot: Slot, o: SgdOptions): void {
  let g = (o.maximize ? -slot.g : slot.g) + o.weightDecay * slot.p;
  if (o.momentum !== 0) {
    slot.state[0] = o.first ? g : o.momentum * slot.state[0] + (1 - o.dampening) * g;
    g = o.nesterov ? g + o.momentum * slot.state[0] : slot.state[0];
  }
  slot.p -= o.lr * g;
}

export interface AdamOptions {
  lr: number;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  decoupled: boolean;
  amsgrad: boolean;
  maximize: boolean;
  step: number;
}

export function adam(slot: Slot, o: AdamOptions): void {
  let g = o.maximize ? -slot.g : slot.g;
  if (o.decoupled) slot.p *= 1 - o.lr * o.weightDecay;
  else g += o.weightDecay * slot.p;
  slot.state[0] = o.beta1 * slot.state[0] + (1 - o.beta1) * g;
  slot.state[1] = o.beta2 * slot.state[1] + (1 - o.beta2) * g * g;
  if (o.amsgrad) slot.state[2] = Math.max(slot.state[2], slot.state[1]);
  const second = o.amsgrad ? slot.state[2] : slot.state[1];
  const denominator = Math.sqrt(second) / Math.sqrt(1 - o.beta2 ** o.step) + o.eps;
  slot.p -= ((o.lr / (1 - o.beta1 ** o.step)) * slot.state[0]) / denominator;
}

export interface RmspropOptions {
  lr: number;
  alpha: number;
  eps: number;
  weightDecay: number;
  momentum: number;
  centered: boolean;
  maximize: boolean;
}

export function rmsprop(slot: Slot, o: RmspropOptions): void {
  const g = (o.maximize ? -slot.g : slot.g) + o.weightDecay * slot.p;
  slot.state[0] = o.alpha * slot.state[0] + (1 - o.alpha) * g * g;
  let variance = slot.state[0];
  if (o.centered) {
    slot.state[2] = o.alpha * slot.state[2] + (1 - o.alpha) * g;
    variance -= slot.state[2] ** 2;
  }
  let direction = g / (Math.sqrt(variance) + o.eps);
  if (o.momentum > 0) {
    slot.state[1] = o.momentum * slot.state[1] + direction;
    direction = slot.state[1];
  }
  slot.p -= o.lr * direction;
}

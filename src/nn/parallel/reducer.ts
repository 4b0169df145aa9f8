// When gradients are averaged: each bucket as soon as it is full, while the backward goes on, in one order on all
// ranks. After the first backward the buckets are cut anew, in the order in which gradients have come.
import { atEndOfBackward, leavesBehind } from '../../autograd/backward.ts';
import { allReduce, broadcastObject, type Group } from '../../distributed/process_group.ts';
import { RuntimeError } from '../../errors.ts';
import { tensor } from '../../tensor/create.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { type GradientParcel, type Named, parcelOf, planBuckets } from './bucket.ts';

export interface ReducerOptions {
  readonly bucketBytes: number;
  /** Whether each forward may use other parameters. */
  readonly findsUnused: boolean;
  /** Whether all forwards use the same ones, the same number of times. */
  readonly isStatic: boolean;
  /** Whether gradients are sent while the backward goes on, or at its end. */
  readonly overlaps: boolean;
}

/** Where a parameter's gradient goes, and what is known of it in the present backward. */
interface Place {
  readonly bucket: GradientParcel;
  readonly index: number;
  /** How many times a backward still has to add to it. */
  awaited: number;
  /** How many times one has. */
  came: number;
  /** Whether this rank's loss depends on it. */
  isUsed: boolean;
}

export class Reducer {
  private readonly group: Group;
  private readonly options: ReducerOptions;
  private order: readonly Named[];
  private buckets: GradientParcel[] = [];
  private places = new Map<Tensor, Place>();
  /** The bucket to be sent next. */
  private next = 0;
  /** Whether gradients of the present backward are averaged. */
  private isExpecting = false;
  /** Whether one of them has come. */
  private hasBegun = false;
  /** Forwards since the last backward whose gradients were averaged. */
  private forwards = 0;
  /** Parameters in the order in which their gradients have come in the present backward. */
  private came: Tensor[] = [];
  /** Backwards whose gradients have been averaged, on this rank or, without it, on the others. */
  private reductions = 0;
  private isCutAnew = false;
  /** Of a static graph, once it is known: how often a backward adds to each gradient; 0 where it is not used. */
  private uses: Map<Tensor, number> | null = null;
  /** Of a static graph: the parameters that no rank uses. */
  private neverUsed: readonly Tensor[] = [];

  /** @param named the parameters that require gradients, in the order of the model. */
  constructor(named: readonly Named[], group: Group, options: ReducerOptions) {
    this.group = group;
    this.options = options;
    this.order = [...named].reverse();
    this.cut();
    for (const [, parameter] of named) parameter.registerPostAccumulateGradHook((leaf) => this.receive(leaf));
  }

  private cut(): void {
    const plan = planBuckets(this.order, this.options.bucketBytes);
    this.buckets = plan.map((named) => parcelOf(named, this.group));
    this.places = new Map();
    for (const bucket of this.buckets)
      for (const [index, [, parameter]] of bucket.named.entries())
        this.places.set(parameter, { bucket, index, awaited: 1, came: 0, isUsed: true });
  }

  /** Whether it averages the gradients of this parameter, and not those of one that it was copied to. */
  averages(parameter: Tensor): boolean {
    return this.places.has(parameter);
  }

  /** The leaves on which the outputs of a forward depend. */
  private usedBy(outputs: readonly Tensor[]): Set<Tensor> {
    if (outputs.length > 0) return leavesBehind(outputs);
    throw new RuntimeError(
      '[DistributedDataParallel] findUnusedParameters looks for the tensors that a forward gives in arrays and plain objects, and has found none: which parameters are unused cannot be known',
    );
  }

  /** Before a backward whose gradients are averaged. @param outputs of the forward. */
  prepare(outputs: () => readonly Tensor[]): void {
    this.requireFinished();
    this.cutAnew();
    const used = this.options.findsUnused && !this.options.isStatic ? this.usedBy(outputs()) : null;
    for (const bucket of this.buckets) bucket.begin();
    for (const [parameter, place] of this.places) {
      place.awaited = this.uses?.get(parameter) ?? 1;
      place.came = 0;
      place.isUsed = place.awaited > 0 && (used?.has(parameter) ?? true);
    }
    this.next = 0;
    this.came = [];
    this.forwards = this.isExpecting ? this.forwards + 1 : 1;
    this.isExpecting = true;
    this.hasBegun = false;
    // No backward will come to any of them.
    if ([...this.places.values()].every(({ isUsed }) => !isUsed)) {
      this.hasBegun = true;
      for (const place of this.places.values()) this.add(place);
      this.finish();
    }
  }

  /** The next backward keeps its gradients to itself. */
  rest(): void {
    this.requireFinished();
    this.isExpecting = false;
  }

  private requireFinished(): void {
    if (!this.isExpecting || !this.hasBegun) return;
    const names = this.order.filter(([, each]) => this.places.get(each)!.came === 0).map(([name]) => `'${name}'`);
    const shown = names.length > 8 ? `${names.slice(0, 8).join(', ')} and ${names.length - 8} more` : names.join(', ');
    throw new RuntimeError(
      `[DistributedDataParallel] expected the backward before this forward to give all parameters gradients, and it gave none to ${shown}, so that their bucket was not averaged: set findUnusedParameters: true where a loss may not depend on all parameters, and make sure that it depends on all outputs of the forward`,
    );
  }

  /** After the first backward: the buckets in the order in which gradients have come on the group's first rank. */
  private cutAnew(): void {
    if (this.isCutAnew || this.reductions === 0 || this.options.findsUnused) return;
    this.isCutAnew = true;
    const position = new Map(this.order.map(([, parameter], i) => [parameter, i]));
    const isWhole = this.came.length === this.order.length;
    const own = isWhole ? this.came.map((parameter) => position.get(parameter)!) : [...this.order.keys()];
    const order = broadcastObject(own, {
      group: this.group,
      src: this.group.ranks[0],
      label: 'the order of the gradients',
    });
    this.order = order.map((i) => this.order[i]);
    this.cut();
  }

  /** A backward has added to a gradient. */
  private receive(leaf: Tensor): void {
    const place = this.places.get(leaf);
    if (!place) return;
    const { isStatic } = this.options;
    if (!this.isExpecting) {
      if (this.forwards > 1)
        throw new RuntimeError(
          `[DistributedDataParallel] a second backward, after ${this.forwards} forwards, would add to '${this.nameOf(leaf)}' what is not averaged: add up the losses and call backward once, or run all forwards but the last one, and their backwards, in noSync()`,
        );
      return;
    }
    if (!this.hasBegun) this.begin();
    const isFirstOfStatic = isStatic && !this.uses;
    if (!isFirstOfStatic && (!place.isUsed || place.awaited === 0))
      throw new RuntimeError(
        `[DistributedDataParallel] '${this.nameOf(leaf)}' was given a gradient that was not expected, after it was averaged: ${
          isStatic
            ? 'with staticGraph every step must use each parameter as often as the first one'
            : place.isUsed
              ? 'it is used in several checkpoints, which takes staticGraph: true'
              : 'a loss may use, of the parameters, only those that the outputs of the forward depend on'
        }`,
      );
    place.came++;
    if (place.came === 1 && !this.isCutAnew) this.came.push(leaf);
    if (isFirstOfStatic || --place.awaited > 0) return;
    this.add(place);
  }

  private nameOf = (parameter: Tensor): string => this.order.find(([, each]) => each === parameter)![0];

  private begin(): void {
    this.hasBegun = true;
    atEndOfBackward(() => this.finish());
    if (this.options.isStatic && !this.uses) return;
    // Their gradients will not come.
    for (const place of this.places.values()) if (!place.isUsed) this.add(place);
  }

  private add({ bucket, index }: Place): void {
    bucket.place(index);
    if (this.options.overlaps) this.sendFull();
  }

  private sendFull(): void {
    while (this.next < this.buckets.length && this.buckets[this.next].missing === 0) this.send();
  }

  private send(isEmpty = false): void {
    const number = this.next++;
    this.buckets[number].reduce(number, isEmpty, !this.options.overlaps);
  }

  /** The end of a backward. */
  private finish(): void {
    const { isStatic } = this.options;
    const isFirstOfStatic = isStatic && !this.uses;
    if (isFirstOfStatic) {
      for (const place of this.places.values()) place.isUsed = place.came > 0;
      this.uses = new Map(Array.from(this.places, ([parameter, { came }]) => [parameter, came]));
      for (const place of this.places.values()) this.add(place);
    }
    this.sendFull();
    if (isFirstOfStatic) this.neverUsed = this.withdrawUnused();
    else if (isStatic) for (const each of this.neverUsed) this.withdraw(each);
    // Another backward of the same forward may bring the rest.
    if (this.next < this.buckets.length) return;
    if (this.options.findsUnused && !this.options.isStatic) this.withdrawUnused();
    this.isExpecting = false;
    this.reductions++;
  }

  private withdraw(parameter: Tensor): void {
    const { bucket, index } = this.places.get(parameter)!;
    bucket.withdraw(index);
  }

  /** Parameters that no rank has used get no gradient; those that another has used get that one's. */
  private withdrawUnused(): Tensor[] {
    const used = this.shareUses(
      this.order.map(([, parameter]) => {
        const { isUsed, bucket, index } = this.places.get(parameter)!;
        // What a micro-batch in noSync() has left counts, too.
        return isUsed || !bucket.isMadeUp[index];
      }),
    );
    if (!used) return [];
    const unused = this.order.filter((_, i) => used[i] === 0).map(([, parameter]) => parameter);
    for (const each of unused) this.withdraw(each);
    return unused;
  }

  /** On how many ranks each parameter is used; null: this rank has used all. */
  private shareUses(own: readonly boolean[]): ArrayLike<number> | null {
    const uses = tensor(own.map(Number), { dtype: 'int32' });
    allReduce(uses, { group: this.group, label: 'the use of parameters' });
    return own.every(Boolean) ? null : (uses.dataSync() as Int32Array);
  }

  /** Takes part in a step of the other ranks without gradients of its own; of no static graph. */
  shadow(): void {
    this.requireFinished();
    this.cutAnew();
    this.next = 0;
    while (this.next < this.buckets.length) this.send(true);
    if (this.options.findsUnused) this.shareUses(this.order.map(() => false));
    this.reductions++;
  }
}

// Writes TensorBoard event files: scalars and histograms over steps. Node only.
// An event file is a sequence of records: length (uint64), its checksum, the event (protobuf), its checksum.
// Source: tensorflow/core/lib/io/record_writer and the protobufs event.proto and summary.proto.

import { PbfWriter } from 'pbf';
import { requireInteger } from '../checks.ts';
import { EvenkeelError } from '../errors.ts';
import { nodeModule } from '../files/node.ts';
import { codeOf } from '../files/processes.ts';
import { cast } from '../ops/convert.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import { Tensor } from '../tensor/tensor.ts';
import { type Histogram, histogramOf, writeHistogram } from './histogram.ts';

/**
 * A value that cannot be logged, a writer that is closed, or a disk that refuses; `code` is then the system's, such as
 * `ENOSPC`.
 */
export class SummaryWriterError extends EvenkeelError {
  override name = 'SummaryWriterError';
  /** The system's code, such as `ENOSPC`. */
  readonly code: string | undefined;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = codeOf(options?.cause);
  }
}

/** Options of `SummaryWriter`. */
export type SummaryWriterOptions = {
  /** Seconds since 1970, for the events' time and the file's name. Default: the clock. */
  now?: () => number;
  /** Events held in memory before they are written out by themselves. Default 10. */
  maxQueue?: number;
};
const summaryWriterOptions = declareOptions<SummaryWriterOptions>({ maxQueue: kind.integer, now: kind.function });

type Event = {
  wallTime: number;
  step: number;
  fileVersion?: string;
  tag?: string;
  value?: number;
  histogram?: Histogram;
};

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  // Castagnoli's polynomial, bits reversed.
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

/** CRC-32C of the bytes (RFC 3720), unsigned. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

// TensorFlow rotates and shifts checksums, so that data that holds checksums does not look like one itself.
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

function encodeEvent(event: Event): Uint8Array {
  const pbf = new PbfWriter();
  pbf.writeDoubleField(1, event.wallTime);
  if (event.step !== 0) pbf.writeVarintField(2, event.step);
  if (event.fileVersion !== undefined) pbf.writeStringField(3, event.fileVersion);
  if (event.tag !== undefined) {
    pbf.writeMessage(
      5,
      (_, summary) =>
        summary.writeMessage(
          1,
          (_, value) => {
            value.writeStringField(1, event.tag!);
            if (event.histogram) value.writeMessage(5, writeHistogram, event.histogram);
            else value.writeFloatField(2, event.value!);
          },
          null,
        ),
      null,
    );
  }
  return pbf.finish();
}

/** The bytes of one record of an event file. */
export function encodeRecord(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + data.length + 4);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(bytes.subarray(0, 8)), true);
  bytes.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return bytes;
}

let filesOpened = 0;

/**
 * Writes scalars and histograms to a new event file in a folder, for `tensorboard --logdir`.
 *
 * Creates the folder. Events are written out every `maxQueue` events, by `flush` and by `close`. Throws
 * SummaryWriterError after `close`, and where the disk refuses: what it has not taken is written by the next `flush`.
 * Not in browsers. Source: `torch.utils.tensorboard.SummaryWriter`.
 */
export class SummaryWriter {
  /** The event file. */
  readonly path: string;
  private readonly now: () => number;
  private readonly maxQueue: number;
  private queue: Uint8Array[] = [];
  private file: number | undefined;

  constructor(dir: string, options: SummaryWriterOptions = {}) {
    requireOptions('SummaryWriter', options, summaryWriterOptions);
    this.now = options.now ?? (() => Date.now() / 1000);
    this.maxQueue = requireInteger('SummaryWriter', 'maxQueue', options.maxQueue ?? 10, 1);
    const { mkdirSync, openSync } = nodeModule('SummaryWriter', 'fs');
    const wallTime = this.now();
    const host = nodeModule('SummaryWriter', 'os').hostname();
    const name = `events.out.tfevents.${Math.floor(wallTime)}.${host}.${process.pid}.${filesOpened++}`;
    this.path = nodeModule('SummaryWriter', 'path').join(dir, name);
    this.file = this.attempt('SummaryWriter', () => {
      mkdirSync(dir, { recursive: true });
      return openSync(this.path, 'wx');
    });
    this.add({ wallTime, step: 0, fileVersion: 'brain.Event:2' });
    this.flush();
  }

  /** Logs a number under a tag (slashes group, as in `loss/train`) at a step, a whole number from 0. */
  addScalar(tag: string, value: number, step: number): void {
    this.log('addScalar', tag, step, { value });
  }

  /**
   * Logs how the values of a tensor, or of an array, are distributed, in the bins that TensorBoard has for all of them
   * (PyTorch: `add_histogram`). NaN and infinities stand in none of the bins.
   * @throws SummaryWriterError where there are no finite values.
   * @example
   * const writer = new SummaryWriter('build/runs');
   * for (const [name, parameter] of model.namedParameters()) writer.addHistogram(`weights/${name}`, parameter, 0);
   * writer.close();
   */
  addHistogram(tag: string, values: Tensor | ArrayLike<number>, step: number): void {
    if (!this.addHistogramOfFinite(tag, values, step))
      throw new SummaryWriterError(`[addHistogram] expected finite values for ${JSON.stringify(tag)}, got none`);
  }

  /** @internal As `addHistogram`; where there are no finite values it logs nothing, and gives false. */
  addHistogramOfFinite(tag: string, values: Tensor | ArrayLike<number>, step: number): boolean {
    const data = values instanceof Tensor ? (cast(values.detach(), 'float64').dataSync() as Float64Array) : values;
    const histogram = histogramOf(data);
    if (histogram) this.log('addHistogram', tag, step, { histogram });
    return histogram !== null;
  }

  /** Writes all events out and waits until the disk has them. */
  flush(): void {
    const file = this.checkOpen('flush');
    const { fsyncSync, writeSync } = nodeModule('SummaryWriter', 'fs');
    this.attempt('flush', () => {
      // What is left of a record is all that the next attempt may write of it.
      for (let record = this.queue[0]; record; record = this.queue[0]) {
        const rest = record.subarray(writeSync(file, record));
        if (rest.length > 0) this.queue[0] = rest;
        else this.queue.shift();
      }
      fsyncSync(file);
    });
  }

  /** Flushes and closes; closing again does nothing. */
  close(): void {
    if (this.file === undefined) return;
    const file = this.file;
    try {
      this.flush();
    } finally {
      this.file = undefined;
      nodeModule('SummaryWriter', 'fs').closeSync(file);
    }
  }

  private log(operation: string, tag: string, step: number, event: Pick<Event, 'value' | 'histogram'>): void {
    if (!Number.isSafeInteger(step) || step < 0) {
      throw new SummaryWriterError(
        `[${operation}] expected a step of 0 or more for ${JSON.stringify(tag)}, got ${step}`,
      );
    }
    this.checkOpen(operation);
    this.add({ wallTime: this.now(), step, tag, ...event });
    if (this.queue.length >= this.maxQueue) this.flush();
  }

  private attempt<R>(operation: string, write: () => R): R {
    try {
      return write();
    } catch (cause) {
      const reason = codeOf(cause) === 'ENOSPC' ? 'no space left on the device (ENOSPC)' : (cause as Error).message;
      throw new SummaryWriterError(`[${operation}] could not write ${this.path}: ${reason}`, { cause });
    }
  }

  private add(event: Event): void {
    this.queue.push(encodeRecord(encodeEvent(event)));
  }

  private checkOpen(operation: string): number {
    if (this.file === undefined) throw new SummaryWriterError(`[${operation}] the writer of ${this.path} is closed`);
    return this.file;
  }
}

// Progress of a run in words: one moving line on a terminal, a plain line per epoch elsewhere.
import type { Callback, EpochResult, Run } from './fit.ts';

/** Where lines go; process.stdout fits. */
export interface LineSink {
  /** Whether it is a terminal, on which a line can be overwritten. */
  readonly isTTY?: boolean;
  /** The width of a line. */
  readonly columns?: number;
  /** Writes text out. */
  write(text: string): unknown;
}

const clock = (seconds: number): string => {
  const s = Math.max(0, Math.round(seconds));
  const minutes = Math.floor(s / 60);
  return minutes >= 60
    ? `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, '0')}m`
    : `${minutes}:${String(s % 60).padStart(2, '0')}`;
};

/** Reports steps, speed and remaining time, on the first rank; `describe` words the line at the end of an epoch. */
export class Progress implements Callback {
  private readonly out: LineSink;
  private readonly describe: (result: EpochResult) => string;
  private startedAt = 0;
  private stepsAtStart = 0;
  private samplesAtEpoch = 0;
  private epochStartedAt = 0;
  private shownAt = 0;

  constructor(out: LineSink, describe: (result: EpochResult) => string) {
    this.out = out;
    this.describe = describe;
  }

  /** Begins to measure how long is left. */
  onTrainBegin(run: Run): void {
    this.startedAt = performance.now();
    this.stepsAtStart = this.steps(run);
  }

  /** Begins to measure the speed of the epoch. */
  onEpochBegin(run: Run): void {
    this.epochStartedAt = performance.now();
    this.samplesAtEpoch = run.averages.samples;
  }

  onStepEnd(run: Run): void {
    const now = performance.now();
    if (run.rank > 0 || !this.out.isTTY || now - this.shownAt < 100) return;
    this.shownAt = now;
    const samples = (run.averages.samples - this.samplesAtEpoch) * run.worldSize;
    const rate = (samples / (now - this.epochStartedAt)) * 1000;
    const parts = [`epoch ${run.position.epoch + 1}/${run.epochs}`];
    if (run.stepsPerEpoch) {
      const remaining = run.stepsPerEpoch * run.epochs - this.steps(run);
      const perStep = (now - this.startedAt) / 1000 / Math.max(1, this.steps(run) - this.stepsAtStart);
      parts.push(`step ${run.position.step}/${run.stepsPerEpoch}`, `ETA ${clock(remaining * perStep)}`);
    } else parts.push(`step ${run.position.step}`);
    parts.push(
      `${Math.round(rate)} images/s`,
      ...Object.entries(run.averages.all()).map(([name, value]) => `${name} ${value.toFixed(4)}`),
    );
    this.out.write(`\r\x1b[2K${parts.join('  ').slice(0, (this.out.columns ?? 80) - 1)}`);
  }

  /** Writes the line of the epoch. */
  onEpochEnd(run: Run, result: EpochResult): void {
    if (run.rank > 0) return;
    this.out.write(`${this.out.isTTY ? '\r\x1b[2K' : ''}${this.describe(result)}\n`);
  }

  onTrainEnd(run: Run): void {
    if (run.isInterrupted && run.rank === 0)
      this.out.write(
        `${this.out.isTTY ? '\r\x1b[2K' : ''}interrupted in epoch ${run.position.epoch + 1} after step ${run.position.step}\n`,
      );
  }

  private steps(run: Run): number {
    return run.position.epoch * (run.stepsPerEpoch ?? 0) + run.position.step;
  }
}

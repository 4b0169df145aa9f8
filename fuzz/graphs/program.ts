// What the graph fuzzer runs: steps that make tensors from earlier ones, look at them, change them, and go backward;
// and what a run reports. Programs are plain data. A step whose operands do not exist does nothing, so that steps can
// be left out of any program.
import type { MemoryFormat } from '../../src/tensor/shape.ts';

export type Float = 'float32' | 'float64';

/** What else a step is told; each operation knows its own (machine.ts). */
export type Settings = Readonly<Record<string, number | string | boolean | null | readonly number[]>>;

export interface Step {
  readonly op: string;
  /** Numbers of the tensors it takes. */
  readonly of: readonly number[];
  /** Numbers of the tensors it makes. */
  readonly makes: readonly number[];
  readonly with: Settings;
  /** Steps inside this one: of a scope, a checkpoint, a region without gradients. */
  readonly body?: readonly Step[];
}

export interface GraphProgram {
  readonly dtype: Float;
  readonly threads: number;
  /** Whether all of it runs in a scope, whose memory is recycled. */
  readonly scoped: boolean;
  readonly steps: readonly Step[];
  /** Tensors that are looked at in the end, in this order; others never are. */
  readonly looks: readonly number[];
}

/** A tensor in a report. */
export interface Seen {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly format: MemoryFormat;
  /** Its place in the graph and its version. */
  readonly place: string;
  readonly data: Float64Array;
}
/** One thing that a run reported, in the order of events. */
export interface Event {
  /** By which step (its place among all) and about what. */
  readonly at: string;
  /** A tensor, or an error's type and text, or that there is nothing. */
  readonly seen: Seen | string;
}

/** A program as text, a step a line. */
export function linesOf({ steps, ...rest }: GraphProgram): string[] {
  const lines: string[] = [JSON.stringify(rest)];
  const add = (list: readonly Step[], indent: string): void => {
    for (const step of list) {
      const settings = Object.entries(step.with).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
      const made = step.makes.length > 0 ? `${step.makes.map((id) => `t${id}`).join(', ')} = ` : '';
      lines.push(`${indent}${made}${step.op}(${step.of.map((id) => `t${id}`).join(', ')})${settings.join('')}`);
      if (step.body) add(step.body, `${indent}  `);
    }
  };
  add(steps, '  ');
  return lines;
}

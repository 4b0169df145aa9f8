// Whether all ranks have built the same model: the first difference, and whose it is.
import { allGatherObject, type Group } from '../../distributed/process_group.ts';
import { RuntimeError } from '../../errors.ts';
import { formatShape } from '../../tensor/shape.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { Module } from '../module.ts';

const describe = (kind: string, [name, x]: readonly [string, Tensor]): string =>
  `${kind} '${name}' ${formatShape(x.shape)} ${x.dtype}${x.memoryFormat === 'channelsLast' ? ' channelsLast' : ''}${kind === 'parameter' && !x.requiresGrad ? ', frozen' : ''}`;

export const rankList = (ranks: readonly number[]): string =>
  `${ranks.length === 1 ? 'rank' : 'ranks'} ${ranks.join(', ')}`;

/** Who says what, a line for each text; one line where all say the same. @param texts of the ranks, in their order. */
export const whoSays = (texts: readonly string[], { ranks }: Group): string[] =>
  [...new Set(texts)].map((text) => `\n  ${rankList(ranks.filter((_, i) => texts[i] === text))}: ${text}`);

/** @throws RuntimeError, on all ranks, where they have different parameters or buffers. */
export function requireSameModel(op: string, module: Module, group: Group): void {
  const own = [
    ...module.namedParameters().map((named) => describe('parameter', named)),
    ...module.namedBuffers().map((named) => describe('buffer', named)),
  ];
  const all = allGatherObject(own, { group, label: `the model of ${op}` });
  const longest = Math.max(...all.map(({ length }) => length));
  for (let i = 0; i < longest; i++) {
    const found = whoSays(
      all.map((entries) => entries[i] ?? 'nothing'),
      group,
    );
    if (found.length === 1) continue;
    throw new RuntimeError(`[${op}] the ranks have built different models; the first difference:${found.join('')}`);
  }
}

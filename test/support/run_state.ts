// What two runs of the main job must have in common: everything that they leave but times.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadTree } from '../../src/train/checkpoint_file.ts';
import type { Tree } from '../../src/train/checkpoint_tree.ts';

const times = new Set(['seconds', 'imagesPerSecond']);

/** Without times, which no two runs share. */
export function timeless(tree: Tree): Tree {
  if (Array.isArray(tree)) return tree.map(timeless);
  if (!tree || typeof tree !== 'object' || ArrayBuffer.isView((tree as { data?: unknown }).data)) return tree;
  return Object.fromEntries(
    Object.entries(tree).flatMap(([key, value]) => (times.has(key) ? [] : [[key, timeless(value)]])),
  );
}

/** A folder's checkpoint. */
export const stateOf = (out: string): Tree => timeless(loadTree(join(out, 'checkpoint')));

/** A folder's metrics, one object per epoch. */
export const linesOf = (out: string): Record<string, number>[] =>
  readFileSync(join(out, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

// Sets the modes of a tree of modules while a function runs.
import { restoring } from '../restoring.ts';
import type { Module } from './module.ts';

/**
 * Runs `run` in the modes that `set` sets, and puts the module's own back one by one when it has returned, thrown, or
 * its promise settled.
 */
export function withModes<R>(module: Module, set: () => void, run: () => R): R {
  const modes = [...module.modules()].map((each) => [each, each.training] as const);
  const restore = () => {
    for (const [each, training] of modes) each.training = training;
  };
  return restoring(restore, () => {
    set();
    return run();
  });
}

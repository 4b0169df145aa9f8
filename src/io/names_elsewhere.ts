// What another library calls the modules of a model that both have: tables that models declare, and by which weights of
// that library are found to be theirs. Not here: the tables, which stand beside the models; wrappers' prefixes
// (load_weights.ts).
import type { Module } from '../nn/module.ts';

/** Names of one library for the modules of a class of models. */
export interface NamesElsewhere<M extends Module = Module> {
  /** The library, as the report calls it. */
  readonly library: string;
  /** Paths of modules that have another name there: [here, there]. */
  readonly paths: (model: M) => Iterable<readonly [here: string, there: string]>;
  /** What makes the library's model another function than this one, though its weights fit; null: nothing does. */
  readonly difference?: (model: M) => string | null;
}

const declared: { readonly modelClass: { readonly prototype: Module }; readonly names: NamesElsewhere }[] = [];

/** Declares what a library calls the modules of a class of models, for `loadWeights`. */
export function declareNames<M extends Module>(
  modelClass: { readonly prototype: M },
  names: NamesElsewhere<NoInfer<M>>,
): void {
  declared.push({ modelClass, names: names as unknown as NamesElsewhere });
}

/** The names of a model's modules in other libraries. */
export const namesElsewhere = (model: Module): NamesElsewhere[] =>
  declared
    .filter(({ modelClass: { prototype } }) => Object.prototype.isPrototypeOf.call(prototype, model))
    .map(({ names }) => names);

/** Puts one path of modules in the place of another in the name of a tensor. */
export function translate(name: string, paths: ReadonlyMap<string, string>): string {
  const dot = name.lastIndexOf('.');
  const path = paths.get(name.slice(0, Math.max(dot, 0)));
  return path === undefined ? name : path + name.slice(dot);
}

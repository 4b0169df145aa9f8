// Names of classes that printing and errors show: a minifier shortens them, but not the keys of an object.

/** Gives classes the names under which they stand in `classes`, for good. */
export function keepNames(classes: Readonly<Record<string, abstract new (...args: never[]) => unknown>>): void {
  for (const [name, each] of Object.entries(classes)) Object.defineProperty(each, 'name', { value: name });
}

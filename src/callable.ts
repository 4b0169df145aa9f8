// Objects that are functions: modules, transforms.

/**
 * A function with the prototype of a class. JavaScript uses the object that a base class's constructor returns in the
 * place of `this`.
 * @param invoke what a call of the object does with it and the arguments.
 */
export function callableOf<T extends object>(prototype: object, invoke: (self: T, args: never[]) => unknown): T {
  const self = (...args: never[]): unknown => invoke(self as unknown as T, args);
  // Properties that every function has. Objects may have fields of these names.
  Reflect.deleteProperty(self, 'name');
  Reflect.deleteProperty(self, 'length');
  return Object.setPrototypeOf(self, prototype) as T;
}

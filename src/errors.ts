// The typed errors of the whole library. Names and meanings are PyTorch's, so that a ported script can tell them apart;
// texts name the operation, what was expected and what was given, or are PyTorch's own where it has one, in the
// library's spelling.
import { keepNames } from './class_names.ts';

const isInstance = Function.prototype[Symbol.hasInstance];

/**
 * Base of every error that evenkeel throws on purpose. Those that are a TypeError or a RangeError too count by
 * `instanceof`.
 */
export class EvenkeelError extends Error {
  /** Makes `instanceof EvenkeelError` hold for the errors that are a TypeError or a RangeError too. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (isInstance.call(this, value)) return true;
    return this === EvenkeelError && [ValueError, IndexError, ArgumentTypeError].some((kind) => value instanceof kind);
  }
}
/** A call that cannot be carried out: shapes, states or dtypes that do not fit (PyTorch's RuntimeError). */
export class RuntimeError extends EvenkeelError {}
/** An argument of the right type with an impossible value: an EvenkeelError and a RangeError. */
export class ValueError extends RangeError {}
/** A dimension or index outside its range: an EvenkeelError and a RangeError. */
export class IndexError extends RangeError {}
/**
 * An argument of the wrong type, or an option that does not exist: an EvenkeelError and a TypeError, whose `name` it
 * has.
 */
export class ArgumentTypeError extends TypeError {}
/** A key that is missing or already taken. */
export class KeyError extends EvenkeelError {}
/** An operation that does not exist for the given dtype or device. */
export class NotImplementedError extends RuntimeError {}

const classes = {
  EvenkeelError,
  RuntimeError,
  ValueError,
  IndexError,
  ArgumentTypeError,
  KeyError,
  NotImplementedError,
};
keepNames(classes);
// On the prototypes, where an error's stack looks for it.
for (const [name, { prototype }] of Object.entries(classes))
  Object.defineProperty(prototype, 'name', {
    value: name === 'ArgumentTypeError' ? 'TypeError' : name,
    writable: true,
    configurable: true,
  });

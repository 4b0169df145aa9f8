// The typed errors of the whole library. Names and meanings are PyTorch's, so that a ported script can tell them apart; texts name
// the operation, what was expected and what was given, or are PyTorch's own where it has one.

/** Base of every error that evenkeel throws on purpose. */
export class EvenkeelError extends Error {
  override name = 'EvenkeelError';
}
/** A call that cannot be carried out: shapes, states or dtypes that do not fit (PyTorch's RuntimeError). */
export class RuntimeError extends EvenkeelError {
  override name = 'RuntimeError';
}
/** An argument of the right type with an impossible value. */
export class ValueError extends EvenkeelError {
  override name = 'ValueError';
}
/** A dimension or index outside its range. */
export class IndexError extends EvenkeelError {
  override name = 'IndexError';
}
/** An argument of the wrong type. */
export class ArgumentTypeError extends EvenkeelError {
  override name = 'TypeError';
}
/** A key that is missing or already taken. */
export class KeyError extends EvenkeelError {
  override name = 'KeyError';
}
/** An operation that does not exist for the given dtype or device. */
export class NotImplementedError extends RuntimeError {
  override name = 'NotImplementedError';
}

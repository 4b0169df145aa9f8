// A checkpoint on disk: any tree of plain values and arrays as one safetensors file, with a checksum over every byte of
// it. What belongs into a checkpoint (model, optimizer, generators) is decided by whoever builds the tree. Node only.

import { EvenkeelError } from '../errors.ts';
import { type AtomicWriteOptions, atomicWriteOptions, writeFileAtomic } from '../files/atomic_file.ts';
import { nodeModule } from '../files/node.ts';
import { codeOf } from '../files/processes.ts';
import { FileFormatError } from '../io/errors.ts';
import { decodeSafetensors, encodeSafetensors } from '../io/safetensors_arrays.ts';
import { requireOptions } from '../options.ts';
import { CheckpointTreeError, joinTree, splitTree, type Tree } from './checkpoint_tree.ts';

/** A checkpoint that cannot be read: missing, damaged, of another version, or no checkpoint at all. */
export class CheckpointError extends EvenkeelError {
  override name = 'CheckpointError';
  /** The file. */
  readonly path: string;
  /** What is wrong with it. */
  readonly reason: string;

  constructor(operation: string, path: string, reason: string, options?: ErrorOptions) {
    super(`[${operation}] ${path}: ${reason}`, options);
    this.path = path;
    this.reason = reason;
  }
}

const VERSION = '1';
// The checksum is the first metadata entry, so it stands at the same place in every checkpoint and is hashed as zeros.
const CHECKSUM_PREFIX = '{"__metadata__":{"sha256":"';
const CHECKSUM_START = 8 + CHECKSUM_PREFIX.length;
const CHECKSUM_DIGITS = 64;
const NO_CHECKSUM = '0'.repeat(CHECKSUM_DIGITS);

/**
 * Writes a tree to `path` in one step; the file that stood there stays as `<path>.previous` unless `keepPrevious` is
 * false.
 *
 * Throws CheckpointTreeError, naming the place, for a value that a checkpoint cannot hold, and AtomicWriteError if the
 * disk refuses; in both cases the old file is untouched.
 */
export function saveTree(path: string, tree: Tree, options: AtomicWriteOptions = {}): void {
  requireOptions('saveTree', options, atomicWriteOptions);
  const { skeleton, entries } = splitTree(tree);
  const metadata = {
    sha256: NO_CHECKSUM,
    format: 'evenkeel checkpoint',
    version: VERSION,
    tree: JSON.stringify(skeleton),
  };
  let bytes: Uint8Array;
  try {
    bytes = encodeSafetensors(entries, metadata);
  } catch (cause) {
    if (cause instanceof FileFormatError) throw new CheckpointTreeError(`[saveTree] ${cause.reason}`, { cause });
    throw cause;
  }
  bytes.set(new TextEncoder().encode(checksum(bytes)), CHECKSUM_START);
  writeFileAtomic(path, bytes, { keepPrevious: true, ...options });
}

/**
 * Reads what `saveTree` wrote; throws CheckpointError, naming the path and the reason, if the file is not exactly that.
 */
export function loadTree(path: string): Tree {
  const fail = (reason: string, cause?: unknown) => new CheckpointError('loadTree', path, reason, { cause });
  const { readFileSync } = nodeModule('loadTree', 'fs');
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const missing = codeOf(cause) === 'ENOENT';
    throw fail(missing ? 'there is no such file' : (cause as Error).message, cause);
  }
  const digits = Buffer.from(bytes.subarray(CHECKSUM_START, CHECKSUM_START + CHECKSUM_DIGITS)).toString('latin1');
  if (Buffer.from(bytes.subarray(8, CHECKSUM_START)).toString('latin1') !== CHECKSUM_PREFIX) {
    throw fail('is no checkpoint of evenkeel, or its beginning is damaged');
  }
  if (digits.length < CHECKSUM_DIGITS || digits !== checksum(bytes)) {
    throw fail('the checksum does not match: the file is damaged or incomplete');
  }
  try {
    const { entries, metadata } = decodeSafetensors(bytes, path);
    if (metadata.version !== VERSION) {
      throw fail(`expected a checkpoint of version ${VERSION}, got ${JSON.stringify(metadata.version)}`);
    }
    return joinTree(JSON.parse(metadata.tree ?? ''), entries);
  } catch (cause) {
    if (cause instanceof FileFormatError) throw fail(cause.reason, cause);
    if (cause instanceof CheckpointTreeError || cause instanceof SyntaxError) throw fail(cause.message, cause);
    throw cause;
  }
}

/** What `lastGood` found. `problem` is why the file at the path itself could not be used. */
export type LastGood = {
  /** What was read. */
  tree: Tree;
  /** The file that it was read from. */
  path: string;
  /** Whether that is `<path>.previous`. */
  usedPrevious: boolean;
  /** What is wrong with the file itself, where it was not used. */
  problem: CheckpointError | undefined;
};

/**
 * Reads `path`, or if that is missing or damaged `<path>.previous`, and says which one it was.
 *
 * Throws CheckpointError with both reasons if neither can be read.
 */
export function lastGood(path: string): LastGood {
  let problem: CheckpointError;
  try {
    return { tree: loadTree(path), path, usedPrevious: false, problem: undefined };
  } catch (cause) {
    if (!(cause instanceof CheckpointError)) throw cause;
    problem = cause;
  }
  const previous = `${path}.previous`;
  try {
    return { tree: loadTree(previous), path: previous, usedPrevious: true, problem };
  } catch (cause) {
    if (!(cause instanceof CheckpointError)) throw cause;
    const reason = `${problem.reason}; and ${previous}: ${cause.reason}`;
    throw new CheckpointError('lastGood', path, reason, { cause: problem });
  }
}

function checksum(bytes: Uint8Array): string {
  return nodeModule('saveTree', 'crypto')
    .createHash('sha256')
    .update(bytes.subarray(0, CHECKSUM_START))
    .update(NO_CHECKSUM)
    .update(bytes.subarray(CHECKSUM_START + CHECKSUM_DIGITS))
    .digest('hex');
}

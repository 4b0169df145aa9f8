// One file of tensors as another: every byte of a type that both formats have stays what it is, without becoming a
// tensor on the way.

import { requireChoice } from '../checks.ts';
import { declareOptions, kind, requireOptions } from '../options.ts';
import type { FileSource } from './byte_source.ts';
import { type Found, find, type OpenOptions, openFound } from './open.ts';
import { PytorchEncoder, writePytorch } from './pytorch_writer.ts';
import { formatOfName, type WrittenFormat, writeFile, writeState, writtenFormats } from './state_files.ts';
import type { FileFormat } from './tensor_file.ts';

/** Options of `convertFile`. */
export interface ConvertOptions extends OpenOptions {
  /**
   * Default: what the target's ending says: .pt, .pth, .bin and .ckpt are PyTorch's, .safetensors and .npz their own.
   */
  format?: WrittenFormat;
  /** Is told how many bytes have been written. */
  onProgress?: (bytes: number) => void;
}
const convertOptions = declareOptions<ConvertOptions>({
  format: kind.choice,
  key: kind.string,
  parts: kind.function,
  onProgress: kind.function,
});

/** What `convertFile` did. */
export interface Conversion {
  /** The source's format. */
  readonly from: FileFormat;
  /** The target's format. */
  readonly to: WrittenFormat;
  /** Where in the source's data the tensors stood. */
  readonly path: string;
  /** How many tensors were written. */
  readonly tensors: number;
  /** Bytes written. */
  readonly bytes: number;
  /** What the new file does not have, one sentence each. */
  readonly lost: readonly string[];
}

/**
 * Writes the tensors of one file into another, of another format or the same: PyTorch (both formats are read, the zip
 * format is written), safetensors, npz.
 *
 * Bits stay what they are, also of types that no tensor of this library has. From PyTorch to PyTorch all data go along,
 * a training checkpoint with all that is in it; else the state dict does, and what is left out is told. Memory is
 * needed for a piece of the file only.
 * @throws FileReadError, FileFormatError on the source; AtomicWriteError on the target, which is then what it was.
 * @example
 * await saveStateDict('build/lenet.pt', model.stateDict());
 * const { tensors } = await convertFile('build/lenet.pt', 'build/lenet.safetensors');
 */
export async function convertFile(
  source: FileSource,
  target: string,
  options: ConvertOptions = {},
): Promise<Conversion> {
  requireOptions('convertFile', options, convertOptions);
  const to = options.format ?? formatOfName('convertFile', target);
  requireChoice('convertFile', 'format', to, writtenFormats);
  const found = await find('convertFile', source, options);
  try {
    return await convert(found, target, to, options);
  } finally {
    for (const each of found.sources) await each.close?.();
  }
}

async function convert(
  found: Found,
  target: string,
  to: WrittenFormat,
  { key, onProgress }: ConvertOptions,
): Promise<Conversion> {
  const { format: from, tree } = found;
  if (tree && to === 'pytorch' && key === undefined) {
    const encoder = new PytorchEncoder('convertFile');
    const { root, tensors } = encoder.copy(tree);
    const bytes = await writeFile(
      'convertFile',
      target,
      writePytorch('convertFile', root, encoder.storages.values()),
      onProgress,
    );
    return { from, to, path: '', tensors, bytes, lost: [] };
  }
  const file = openFound(found, key);
  const tensors = new Map(file.keys().map((name) => [name === '' ? 'array' : name, file.stored(name)]));
  const bytes = await writeFile(
    'convertFile',
    target,
    writeState('convertFile', tensors, to, file.metadata),
    onProgress,
  );
  const lost = [...file.notes];
  const beside = tree ? besides(found, file.path) : [];
  if (beside.length > 0)
    lost.push(`${beside.map((name) => `'${name}'`).join(', ')} stood beside the state and were left out`);
  if (to === 'npz' && file.metadata) lost.push('npz has no place for the versions of modules');
  const texts = Object.keys(file.texts).filter((name) => name !== 'format' && !name.startsWith('evenkeel.'));
  if (texts.length > 0 && to !== 'safetensors')
    lost.push(`the texts ${texts.map((name) => `'${name}'`).join(', ')} were left out`);
  return { from, to, path: file.path, tensors: tensors.size, bytes, lost };
}

/** Keys of the data at the root that the state dict is not part of. */
function besides({ tree }: Found, path: string): string[] {
  const root = path === '' ? null : tree!.dictOf(tree!.root);
  if (!root) return [];
  return root.entries.map(([key]) => String(key)).filter((key) => path !== key && !path.startsWith(`${key}.`));
}

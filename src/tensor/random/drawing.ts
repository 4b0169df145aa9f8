// Random numbers by kernels. While kernels draw, the words of a generator are in a tensor of their backend; how many
// of them have been drawn is known beforehand, so JavaScript waits for no kernel before it asks for a word itself.
import type { Backend } from '../../device/backend.ts';
import { outsideScopes } from '../storage.ts';
import { allocate, type Tensor } from '../tensor.ts';
import { BLOCK_WORDS, defaultGenerator, type Generator, type WordsElsewhere } from './generator.ts';

class WordsOnDevice implements WordsElsewhere {
  readonly tensor: Tensor;
  constructor(backend: Backend) {
    this.tensor = outsideScopes(() => allocate([BLOCK_WORDS], 'int32', 'contiguous', backend));
  }
  read(words: Uint32Array): void {
    const { buffer, byteOffset } = this.tensor.storage.bytes();
    words.set(new Uint32Array(buffer, byteOffset, BLOCK_WORDS));
  }
  write(words: Uint32Array): void {
    this.tensor.storage.beginChange();
    this.tensor.storage.write(new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
  }
}

const homes = new WeakMap<Generator, Map<Backend, WordsOnDevice>>();

/**
 * Launches a kernel that draws so many words, none on the meta device: `launch` gives it the generator's words, and how
 * many of them have been drawn.
 */
export function drawByKernel(
  backend: Backend,
  generator: Generator = defaultGenerator,
  words: number,
  launch: (state: Tensor, used: number) => void,
): void {
  if (backend.device === 'meta' || words === 0) return;
  let ofGenerator = homes.get(generator);
  if (!ofGenerator) homes.set(generator, (ofGenerator = new Map()));
  let home = ofGenerator.get(backend);
  if (!home) ofGenerator.set(backend, (home = new WordsOnDevice(backend)));
  const used = generator.lendWords(home);
  launch(home.tensor, used);
  generator.skip(words);
}

// PyTorch's CPU random generator: MT19937, its seeding and its saved state, bit for bit.
// Distributions (uniform, normal, …) are in sampling.ts and permutation.ts; nothing here knows about them except for
// the one cached normal that PyTorch keeps in the generator.

import { shown } from '../../checks.ts';
import { ValueError } from '../../errors.ts';

/** Words that MT19937 makes at once. */
export const BLOCK_WORDS = 624;
const SHIFT_SIZE = 397;
const MATRIX_A = 0x9908b0df;

/** Seed of PyTorch's generators before anybody calls `manualSeed`. */
export const DEFAULT_SEED = 67280421310721n;

/** Size in bytes of `Generator.getState()`, the same as of `torch.get_rng_state()`. */
export const GENERATOR_STATE_BYTES = 5056;

// Byte offsets of torch.get_rng_state(): seed u64, left i32, seeded i32, next u64, 624 words as u64 each, three doubles
// of which only the second (cached normal) is used, its flag i32, padding, a float normal that CPU code never sets, its
// flag.
const OFFSET_LEFT = 8;
const OFFSET_SEEDED = 12;
const OFFSET_NEXT = 16;
const OFFSET_WORDS = 24;
const OFFSET_NORMAL = OFFSET_WORDS + BLOCK_WORDS * 8 + 8;
const OFFSET_NORMAL_VALID = OFFSET_NORMAL + 16;

/** A seed or a saved state that a generator cannot take. */
export class GeneratorError extends ValueError {
  override name = 'GeneratorError';
}

/** Where the words of a generator are while others than JavaScript draw. */
export interface WordsElsewhere {
  read(words: Uint32Array): void;
  write(words: Uint32Array): void;
}

/**
 * A random generator that draws exactly what `torch.Generator(device='cpu')` draws.
 *
 * Default seed 67280421310721. Source: PyTorch `at::CPUGeneratorImpl`, `at::mt19937`.
 */
export class Generator {
  /** Second value of the last Box-Muller pair, kept for the next single normal; part of the saved state. */
  cachedNormal: number | undefined = undefined;
  private readonly ownWords = new Uint32Array(BLOCK_WORDS);
  /** Where the words are that JavaScript's own ones stand for; null: these are they. */
  private elsewhere: WordsElsewhere | null = null;
  private left = 1;
  private next = 0;
  private currentSeed = DEFAULT_SEED;

  constructor(seed: number | bigint = DEFAULT_SEED) {
    this.manualSeed(seed);
  }

  /**
   * Starts the sequence of this seed and forgets the cached normal.
   *
   * Seeds run from -2^63 to 2^64 - 1 (negative ones count from 2^64); a `number` must be a safe integer. MT19937 itself
   * uses the low 32 bits only. Throws GeneratorError otherwise. Source: `torch.Generator.manual_seed`.
   */
  manualSeed(seed: number | bigint): this {
    this.currentSeed = normalizeSeed(seed);
    this.elsewhere = null;
    const words = this.ownWords;
    words[0] = Number(this.currentSeed & 0xffffffffn);
    for (let i = 1; i < BLOCK_WORDS; i++) {
      const previous = words[i - 1]! ^ (words[i - 1]! >>> 30);
      words[i] = Math.imul(1812433253, previous) + i;
    }
    this.left = 1;
    this.next = 0;
    this.cachedNormal = undefined;
    return this;
  }

  /** Seeds from the system's entropy and returns that seed. Source: `torch.Generator.seed`. */
  seed(): bigint {
    const entropy = crypto.getRandomValues(new BigUint64Array(1));
    this.manualSeed(entropy[0]!);
    return this.currentSeed;
  }

  /** The seed given last, 0 … 2^64 - 1. Source: `torch.Generator.initial_seed`. */
  initialSeed(): bigint {
    return this.currentSeed;
  }

  private get words(): Uint32Array {
    if (this.elsewhere) {
      this.elsewhere.read(this.ownWords);
      this.elsewhere = null;
    }
    return this.ownWords;
  }

  /**
   * Hands the words over to somebody else, who draws from them, and tells how many of them have been drawn. They come
   * back when JavaScript draws.
   * @internal
   */
  lendWords(to: WordsElsewhere): number {
    if (this.elsewhere !== to) {
      to.write(this.words);
      this.elsewhere = to;
    }
    return BLOCK_WORDS + 1 - this.left;
  }

  /**
   * Notes that so many words have been drawn elsewhere, of which there was at least one.
   * @internal
   */
  skip(words: number): void {
    const drawn = BLOCK_WORDS + 1 - this.left + words;
    this.next = ((drawn - 1) % BLOCK_WORDS) + 1;
    this.left = BLOCK_WORDS + 1 - this.next;
  }

  /** The next 32 random bits as an unsigned integer. */
  random32(): number {
    if (--this.left === 0) this.refill();
    let y = this.words[this.next++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  /** The next 64 random bits: two 32-bit draws, the first is the high half. */
  random64(): bigint {
    const high = this.random32();
    return (BigInt(high) << 32n) | BigInt(this.random32());
  }

  /** Everything needed to continue the sequence, in the byte layout of `torch.get_rng_state()` (5056 bytes). */
  getState(): Uint8Array {
    const bytes = new Uint8Array(GENERATOR_STATE_BYTES);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, this.currentSeed, true);
    view.setInt32(OFFSET_LEFT, this.left, true);
    view.setInt32(OFFSET_SEEDED, 1, true);
    view.setUint32(OFFSET_NEXT, this.next, true);
    const { words } = this;
    for (let i = 0; i < BLOCK_WORDS; i++) view.setUint32(OFFSET_WORDS + 8 * i, words[i]!, true);
    if (this.cachedNormal !== undefined) {
      view.setFloat64(OFFSET_NORMAL, this.cachedNormal, true);
      view.setInt32(OFFSET_NORMAL_VALID, 1, true);
    }
    return bytes;
  }

  /**
   * Restores `getState()` bytes, also those of `torch.get_rng_state()`; throws GeneratorError if they cannot be such a
   * state.
   */
  setState(bytes: Uint8Array): this {
    if (bytes.length !== GENERATOR_STATE_BYTES) {
      throw new GeneratorError(
        `[Generator.setState] expected a state of ${GENERATOR_STATE_BYTES} bytes, got ${bytes.length} bytes`,
      );
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const left = view.getInt32(OFFSET_LEFT, true);
    const next = view.getBigUint64(OFFSET_NEXT, true);
    const fresh = left === 1 && next === 0n;
    const running = left >= 1 && left <= BLOCK_WORDS && next === BigInt(BLOCK_WORDS + 1 - left);
    if (view.getInt32(OFFSET_SEEDED, true) !== 1 || !(fresh || running)) {
      throw new GeneratorError(
        `[Generator.setState] expected a valid MT19937 state, got left=${left} and next=${next}, which no generator has`,
      );
    }
    this.elsewhere = null;
    this.currentSeed = view.getBigUint64(0, true);
    this.left = left;
    this.next = Number(next);
    for (let i = 0; i < BLOCK_WORDS; i++) this.ownWords[i] = view.getUint32(OFFSET_WORDS + 8 * i, true);
    this.cachedNormal =
      view.getInt32(OFFSET_NORMAL_VALID, true) === 1 ? view.getFloat64(OFFSET_NORMAL, true) : undefined;
    return this;
  }

  // x[k] = x[k+397 mod 624] ^ twist(x[k], x[k+1 mod 624])   (Matsumoto & Nishimura 1998)
  private refill(): void {
    const words = this.words;
    let current = words[0]!;
    for (let i = 0; i < BLOCK_WORDS; i++) {
      const following = words[i === BLOCK_WORDS - 1 ? 0 : i + 1]!;
      const mixed = (current & 0x80000000) | (following & 0x7fffffff);
      const partner = words[i < BLOCK_WORDS - SHIFT_SIZE ? i + SHIFT_SIZE : i + SHIFT_SIZE - BLOCK_WORDS]!;
      words[i] = partner ^ (mixed >>> 1) ^ (following & 1 ? MATRIX_A : 0);
      current = following;
    }
    this.left = BLOCK_WORDS;
    this.next = 0;
  }
}

function normalizeSeed(seed: number | bigint): bigint {
  if (typeof seed !== 'bigint' && !Number.isSafeInteger(seed)) {
    throw new GeneratorError(`[manualSeed] expected an integer seed (a bigint beyond 2^53), got ${shown(seed)}`);
  }
  const value = BigInt(seed);
  if (value < -(1n << 63n) || value >= 1n << 64n) {
    throw new GeneratorError(`[manualSeed] expected a seed from -2^63 to 2^64 - 1, got ${value}`);
  }
  return BigInt.asUintN(64, value);
}

/** The generator used wherever none is given, like PyTorch's `torch.default_generator`. */
export const defaultGenerator = new Generator();

/** Seeds the default generator and returns it. Source: `torch.manual_seed`. */
export function manualSeed(seed: number | bigint): Generator {
  return defaultGenerator.manualSeed(seed);
}

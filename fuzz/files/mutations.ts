// Damaged files: a golden one, changed by a few random edits. Pickles in zip archives and headers of safetensors are
// also changed before they are wrapped, since a checksum or a length would otherwise hide the readers behind them.
import { readdirSync, readFileSync } from 'node:fs';
import { unzipSync } from 'fflate';
import { writeZip } from '../../src/io/zip_writer.ts';

/** A generator of 32 random bits (Steele et al. 2014, "SplittableRandom"; the constants of MurmurHash3). */
export function randomBits(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
}

/** Something that can be damaged, and how it becomes a file again. */
export interface Part {
  readonly name: string;
  /** Which reader the damage is meant for. */
  readonly reader: 'pickle' | 'zip' | 'safetensors' | 'npz' | 'legacy' | 'npy' | 'index';
  readonly bytes: Uint8Array;
  wrap(damaged: Uint8Array): Promise<Uint8Array>;
}

async function zipped(members: Readonly<Record<string, Uint8Array>>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const entries = Object.entries(members).map(([name, bytes]) => ({
    name,
    size: bytes.length,
    bytes: async function* () {
      yield bytes;
    },
  }));
  for await (const part of writeZip(entries)) parts.push(part.slice());
  return Buffer.concat(parts);
}

function withHeader(header: Uint8Array, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + header.length + payload.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
  bytes.set(header, 8);
  bytes.set(payload, 8 + header.length);
  return bytes;
}

const folder = new URL('../../test/golden/checkpoints/', import.meta.url);

/** All parts of all golden files that are small enough to change often. */
export function parts(): Part[] {
  const found: Part[] = [];
  for (const name of readdirSync(folder).sort()) {
    const bytes = new Uint8Array(readFileSync(new URL(name, folder)));
    const whole = async (damaged: Uint8Array) => damaged;
    const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b;
    if (name.endsWith('.npy')) found.push({ name, reader: 'npy', bytes, wrap: whole });
    else if (name.endsWith('.json')) found.push({ name, reader: 'index', bytes, wrap: whole });
    else if (name.endsWith('.safetensors')) {
      found.push({ name, reader: 'safetensors', bytes, wrap: whole });
      const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
      const payload = bytes.subarray(8 + length);
      const wrap = async (damaged: Uint8Array) => withHeader(damaged, payload);
      found.push({ name: `${name}: header`, reader: 'safetensors', bytes: bytes.slice(8, 8 + length), wrap });
    } else if (!isZip) found.push({ name, reader: 'legacy', bytes, wrap: whole });
    else {
      found.push({ name, reader: name.endsWith('.npz') ? 'npz' : 'zip', bytes, wrap: whole });
      const members = unzipSync(bytes);
      for (const [member, content] of Object.entries(members)) {
        const isPickle = member.endsWith('data.pkl');
        if (!isPickle && !member.endsWith('.npy')) continue;
        const wrap = (damaged: Uint8Array) => zipped({ ...members, [member]: damaged });
        found.push({ name: `${name}: ${member}`, reader: isPickle ? 'pickle' : 'npz', bytes: content, wrap });
      }
    }
  }
  return found;
}

const interesting = [0, 1, 0x7f, 0x80, 0xff, 0xfffe, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/** One edit of bytes. */
function edit(bytes: Uint8Array, next: () => number, others: readonly Part[]): Uint8Array {
  const upTo = (count: number) => (count > 0 ? next() % count : 0);
  const at = upTo(bytes.length);
  const joined = (...pieces: Uint8Array[]) => new Uint8Array(Buffer.concat(pieces));
  const changed = bytes.slice();
  switch (next() % 9) {
    case 0: // a bit
      if (changed.length > 0) changed[at] ^= 1 << (next() % 8);
      return changed;
    case 1: // a byte
      if (changed.length > 0) changed[at] = next();
      return changed;
    case 2: {
      // a number of one, two, four or eight bytes, at the edge of what there is
      let value = BigInt(interesting[upTo(interesting.length)]);
      if (next() % 4 === 0) value = (value << 32n) | 0xffffffffn;
      const width = 1 << (next() % 4);
      for (let i = 0; i < width && at + i < changed.length; i++)
        changed[at + i] = Number((value >> BigInt(8 * i)) & 255n);
      return changed;
    }
    case 3: // the end is missing
      return bytes.slice(0, at);
    case 4: // a piece is missing
      return joined(bytes.subarray(0, at), bytes.subarray(at + 1 + upTo(16)));
    case 5: {
      // a piece stands there twice
      const end = Math.min(bytes.length, at + 1 + upTo(32));
      return joined(bytes.subarray(0, end), bytes.subarray(at));
    }
    case 6: // random bytes come in between
      return joined(
        bytes.subarray(0, at),
        Uint8Array.from({ length: 1 + upTo(8) }, () => next()),
        bytes.subarray(at),
      );
    case 7: {
      // a piece of another file
      const other = others[upTo(others.length)].bytes;
      const start = upTo(other.length);
      const piece = other.subarray(start, start + 1 + upTo(64));
      return joined(bytes.subarray(0, at), piece, bytes.subarray(at + (next() % 2 ? piece.length : 0)));
    }
    default: {
      // a digit becomes another: headers are texts
      const places = [...bytes.keys()].filter((i) => bytes[i] >= 0x30 && bytes[i] <= 0x39);
      if (places.length > 0) changed[places[upTo(places.length)]] = 0x30 + (next() % 10);
      return changed;
    }
  }
}

/** The damaged file of a seed, and what was damaged. */
export async function damaged(all: readonly Part[], seed: number): Promise<{ part: Part; file: Uint8Array }> {
  const next = randomBits(seed);
  const part = all[next() % all.length];
  let bytes = part.bytes;
  for (let edits = 1 + (next() % 3); edits > 0; edits--) bytes = edit(bytes, next, all);
  return { part, file: await part.wrap(bytes) };
}

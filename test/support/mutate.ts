import type { randomFrom } from './random.js';

type Random = ReturnType<typeof randomFrom>;

/** Numbers at which readers of binary formats go wrong. */
const EDGES = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 2 ** 40, 2 ** 53, 2 ** 63];

/** A copy of `bytes` with a few changes: bits, bytes, whole numbers, pieces left out, repeated, moved, or taken from `other`. */
export function mutate(bytes: Uint8Array, random: Random, other: Uint8Array = bytes): Uint8Array<ArrayBuffer> {
  let result = Uint8Array.from(bytes);
  for (let changes = random.integer(1, random.unit() < 0.2 ? 12 : 3); changes > 0; changes--) result = change(result, random, other);
  return result;
}

function change(bytes: Uint8Array<ArrayBuffer>, random: Random, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const size = bytes.length;
  const at = random.integer(0, Math.max(0, size - 1));
  const length = Math.min(size - at, random.integer(0, random.unit() < 0.7 ? 16 : 512));
  switch (random.integer(0, 8)) {
    case 0: bytes[at]! ^= 1 << random.integer(0, 7); return bytes;
    case 1: bytes[at] = random.integer(0, 255); return bytes;
    case 2: {
      const value = EDGES[random.integer(0, EDGES.length - 1)]!;
      const width = 2 ** random.integer(0, 3);
      for (let i = 0; i < width && at + i < size; i++) bytes[at + i] = Math.floor(value / 2 ** (8 * i)) % 256;
      return bytes;
    }
    case 3: { // a number a little larger or smaller
      const up = random.unit() < 0.5;
      bytes[at] = (bytes[at] ?? 0) + (up ? 1 : 255) * random.integer(1, 3);
      return bytes;
    }
    case 4: return join(bytes.subarray(0, at), bytes.subarray(at + length)); // left out
    case 5: return join(bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at)); // repeated
    case 6: { // moved or copied over something else
      bytes.copyWithin(random.integer(0, Math.max(0, size - 1)), at, at + length);
      return bytes;
    }
    case 7: {
      const from = random.integer(0, Math.max(0, other.length - 1));
      return join(bytes.subarray(0, at), other.subarray(from, from + length), bytes.subarray(at + (random.unit() < 0.5 ? length : 0)));
    }
    default: return random.unit() < 0.2 ? bytes.slice(0, at) : join(bytes.subarray(0, at), Uint8Array.from({ length }, () => random.integer(0, 255)), bytes.subarray(at));
  }
}

function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

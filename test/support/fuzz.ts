import { expect } from 'vitest';
import { MatMulFreeError } from 'matmulfree';
import { randomFrom } from './random.js';

/** Inputs to try: a short run in the suite, `FUZZ=200000` for a long one. */
export const FUZZ_INPUTS = Number(process.env['FUZZ'] ?? 1500);

/** Numbers at which lengths, counts and types go wrong. */
const NUMBERS = [0, 1, 2, 3, 8, 9, 31, 32, 64, 255, 256, 1000, 65535, 2 ** 20, 2 ** 22, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 40, 2 ** 53 - 1, 2 ** 53, 2 ** 63];

/**
 * Spoils bytes in one to four ways: bits, bytes, numbers of all widths, stretches removed, repeated or exchanged, an early end.
 * @param head where the interesting part ends: most changes are made before it.
 */
export function mutate(bytes: Uint8Array, head: number, seed: number): Uint8Array {
  const random = randomFrom(seed);
  let out = Uint8Array.from(bytes);
  const place = (): number => random.integer(0, Math.max(0, (random.unit() < 0.85 ? Math.min(head, out.length) : out.length) - 1));
  for (let changes = random.integer(1, 4); changes > 0; changes--) {
    const at = place();
    const view = new DataView(out.buffer);
    switch (random.integer(0, 8)) {
      case 0: out[at]! ^= 1 << random.integer(0, 7); break;
      case 1: out[at] = random.integer(0, 255); break;
      case 2: out[at] = random.integer(0, 13); break;
      case 3: if (at + 4 <= out.length) view.setUint32(at, NUMBERS[random.integer(0, NUMBERS.length - 1)]! % 2 ** 32, true); break;
      case 4: if (at + 8 <= out.length) view.setBigUint64(at, BigInt(NUMBERS[random.integer(0, NUMBERS.length - 1)]!), true); break;
      case 5: out = join(out.subarray(0, at), out.subarray(at + random.integer(1, 40))); break;
      case 6: {
        const from = place();
        out = join(out.subarray(0, at), out.subarray(from, from + random.integer(1, 40)), out.subarray(at));
        break;
      }
      case 7: {
        const from = place();
        out.copyWithin(at, from, from + random.integer(1, 16));
        break;
      }
      default: if (random.unit() < 0.2) out = out.slice(0, at);
    }
  }
  return out;
}

function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts));
}

/** Runs `use`: it ends well or with one of our errors, short, and within a second. @returns whether it ended well. */
export async function endsWell(what: string, use: () => Promise<unknown>): Promise<boolean> {
  const began = performance.now();
  let error: unknown;
  const good = await use().then(() => true, (reason: unknown) => { error = reason; return false; });
  const took = performance.now() - began;
  if (!good && !(error instanceof MatMulFreeError && error.message.length < 1000)) {
    throw new Error(`${what}: ${error instanceof Error ? error.stack?.slice(0, 2000) : String(error)}`);
  }
  // Twice as much as is allowed, for a machine that does other things meanwhile.
  if (took > 2000) expect.fail(`${what} took ${took.toFixed(0)} ms`);
  return good;
}

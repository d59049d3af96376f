import { expect } from 'vitest';

/** Bit for bit the same, told apart from merely equal (0 and -0, NaN). */
export function expectSameBits(actual: Float32Array, expected: Float32Array): void {
  expect(actual.length).toBe(expected.length);
  const a = new Uint32Array(actual.buffer, actual.byteOffset, actual.length);
  const b = new Uint32Array(expected.buffer, expected.byteOffset, expected.length);
  const first = a.findIndex((bits, i) => bits !== b[i]);
  expect(first, first < 0 ? '' : `element ${first}: ${actual[first]} is not ${expected[first]}`).toBe(-1);
}

export function maxDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let worst = 0;
  for (let i = 0; i < b.length; i++) worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
  return worst;
}

/** KL(exact ‖ actual) of one position's distributions, and whether their most probable tokens agree. */
export function comparePosition(actual: ArrayLike<number>, exact: ArrayLike<number>): { kl: number; sameTop: boolean } {
  const p = softmax(exact);
  const q = softmax(actual);
  const kl = p.reduce((sum, value, i) => sum + (value > 0 ? value * Math.log(value / q[i]!) : 0), 0);
  return { kl, sameTop: p.indexOf(Math.max(...p)) === q.indexOf(Math.max(...q)) };
}

function softmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  const maximum = Math.max(...values);
  const weights = values.map((value) => Math.exp(value - maximum));
  const total = weights.reduce((sum, value) => sum + value, 0);
  return weights.map((value) => value / total);
}

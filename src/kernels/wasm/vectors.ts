import { f32, f32x4, v128, type V128 } from '../../wasm/instructions.js';

/** Constant vectors. */

export function bytes(byte: (lane: number) => number): V128 {
  return v128.const(Array.from({ length: 16 }, (_, lane) => byte(lane)));
}

export function splatByte(value: number): V128 {
  return bytes(() => value);
}

export function splatF32(value: number): V128 {
  return f32x4.splat(f32.const(value));
}

/** The bytes of 32-bit lanes, for shuffles. */
export function words(lanes: readonly number[]): number[] {
  return lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte));
}

export const ZERO = splatByte(0);

/** 1.5 · 2²³: added to a small whole number in float32, leaves it in the low bits, as two's complement. */
export const INTEGER_IN_LOW_BITS = 12582912;

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

export const ZERO = splatByte(0);

import { f32x4, i16x8, i32, i32x4, i8x16, v128, type I32, type V128 } from '../../wasm/instructions.js';
import type { Body, Func, ModuleBuilder } from '../../wasm/module.js';
import { bytes, splatF32, ZERO } from './vectors.js';

/** A 32-bit pattern in each lane. */
export const splatBits = (bits: number): V128 => bytes((byte) => (bits >>> (8 * (byte % 4))) & 255);

/** A half moved into a float32 number, as its bits are, is so many times too small: float16's exponents are 112 below float32's. */
export const HALF_UNIT = 2 ** 112;

/** The low halves of four 32-bit lanes, first. */
const LOW_HALVES = [0, 1, 4, 5, 8, 9, 12, 13, 0, 1, 4, 5, 8, 9, 12, 13];

/**
 * Returns the float16 bits of four lanes in their low halves: to the nearest, half to even, at most ±65504, as `toHalf` in
 * `scalar/attention.ts`. Called at the start of a function.
 */
export function createToHalf(b: Body): (x: V128) => V128 {
  const constant = (value: V128): V128 => b.local('v128', value);
  const [largest, smallestNormal, half] = [constant(splatF32(65504)), constant(splatF32(2 ** -14)), constant(splatF32(0.5))];
  const [halfBits, one, sign, roundUp] = [constant(splatBits(0x3f000000)), constant(splatBits(1)), constant(splatBits(0x8000)), constant(splatBits(0xfff - 0x38000000))];
  const [value, magnitude, rounded, small] = b.locals('v128', 4);
  return (x) => {
    b.set(value, x);
    b.set(magnitude, f32x4.pmin(f32x4.abs(value), largest));
    b.set(rounded, i32x4.add(magnitude, roundUp));
    b.set(rounded, i32x4.shrU(i32x4.add(rounded, v128.and(i32x4.shrU(magnitude, 13), one)), 13));
    // Below 2⁻¹⁴ float16 has a fixed step of 2⁻²⁴: so has float32 around ½.
    b.set(small, i32x4.sub(f32x4.add(magnitude, half), halfBits));
    b.set(rounded, v128.bitSelect(rounded, small, f32x4.ge(magnitude, smallestNormal)));
    b.set(rounded, v128.or(rounded, v128.and(i32x4.shrU(value, 16), sign)));
    return i8x16.shuffle(rounded, rounded, LOW_HALVES);
  };
}

/** 16-bit lanes of two vectors as the lower and upper halves of 32-bit ones: the first four lanes, and the last. */
const INTERLEAVED = [[0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23], [8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31]] as const;
const interleave = (lower: V128, upper: V128): readonly [V128, V128] => [i8x16.shuffle(lower, upper, INTERLEAVED[0]), i8x16.shuffle(lower, upper, INTERLEAVED[1])];

/** Returns the float32 values of eight float16 bits, as two vectors. Called at the start of a function. */
function createFromHalf(b: Body): (halves: V128) => readonly [low: V128, high: V128] {
  const signAndMagnitude = b.local('v128', splatBits(0x8fff8fff));
  const scale = b.local('v128', splatF32(HALF_UNIT)); // subnormals come out right too
  const [lower, upper] = b.locals('v128', 2);
  return (halves) => {
    b.set(upper, halves);
    b.set(lower, i16x8.shl(upper, 13));
    b.set(upper, v128.and(i16x8.shrS(upper, 3), signAndMagnitude));
    const [low, high] = interleave(lower, upper);
    return [f32x4.mul(low, scale), f32x4.mul(high, scale)];
  };
}

/** How floats of a table are stored, as numbers for kernels. */
export const STORED = { F32: 0, F16: 1, BF16: 2 } as const;

/** Stored floats as float32. */
export interface Reader {
  /** log₂ of the bytes of one. */
  readonly shift: 1 | 2;
  /** Eight, `offset` bytes on, as two vectors, of which the first one is to be used first. */
  eight(at: I32, offset?: number): readonly [low: V128, high: V128];
  four(at: I32): V128;
}

/** Called at the start of a function. */
export function createReader(b: Body, stored: keyof typeof STORED): Reader {
  if (stored === 'F32') return { shift: 2, eight: (at, offset = 0) => [v128.load(at, offset), v128.load(at, offset + 16)], four: (at) => v128.load(at) };
  const eight = b.local('v128');
  const widen = stored === 'F16' ? createFromHalf(b) : (halves: V128): readonly [V128, V128] => {
    b.set(eight, halves);
    return interleave(ZERO, eight);
  };
  return { shift: 1, eight: (at, offset) => widen(v128.load(at, offset)), four: (at) => widen(v128.load64Zero(at))[0] };
}

/** widen(from, to, count, stored): `count` floats, a multiple of 4, become float32. */
export function emitWiden(module: ModuleBuilder): Func {
  return module.func('widen', { from: 'i32', to: 'i32', count: 'i32', stored: 'i32' }, (b, p) => {
    const each = ({ eight, four }: Reader): void => {
      const rounds = (step: number, body: () => void): void => b.while(i32.geU(p.count, step), () => {
        body();
        b.increase(p.from, step * 2);
        b.increase(p.to, step * 4);
        b.increase(p.count, -step);
      });
      rounds(8, () => eight(p.from).forEach((value, n) => b.run(v128.store(p.to, value, 16 * n))));
      rounds(4, () => b.run(v128.store(p.to, four(p.from))));
    };
    const [half, brain] = [createReader(b, 'F16'), createReader(b, 'BF16')] as const;
    b.if(i32.eq(p.stored, STORED.F16), () => each(half), () => each(brain));
  });
}

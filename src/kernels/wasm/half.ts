import { f32x4, i32, i32x4, i8x16, v128, type V128 } from '../../wasm/instructions.js';
import type { Body, Func, ModuleBuilder } from '../../wasm/module.js';
import { bytes, splatF32 } from './vectors.js';

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
  const [value, magnitude, rounded, small] = [b.local('v128'), b.local('v128'), b.local('v128'), b.local('v128')] as const;
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

/** Returns the float32 values of eight float16 bits, as two vectors. Called at the start of a function. */
export function createFromHalf(b: Body): (halves: V128) => readonly [low: V128, high: V128] {
  const signAndMagnitude = b.local('v128', splatBits(0x8fffe000));
  const scale = b.local('v128', splatF32(HALF_UNIT)); // subnormals come out right too
  const eight = b.local('v128');
  const widen = (four: V128): V128 => f32x4.mul(v128.and(i32x4.shl(four, 13), signAndMagnitude), scale);
  return (halves) => {
    b.set(eight, halves);
    return [widen(i32x4.extendLowI16x8S(eight)), widen(i32x4.extendHighI16x8S(eight))];
  };
}

/** How floats of a table are stored, as numbers for kernels. */
export const STORED = { F32: 0, F16: 1, BF16: 2 } as const;

/** widen(from, to, count, stored): `count` floats, a multiple of 4, become float32. */
export function emitWiden(module: ModuleBuilder): Func {
  return module.func('widen', { from: 'i32', to: 'i32', count: 'i32', stored: 'i32' }, (b, p) => {
    const fromHalf = createFromHalf(b);
    const eight = b.local('v128');
    const rounds = (step: number, body: (store: (value: V128, offset: number) => void) => void): void => {
      b.while(i32.geU(p.count, step), () => {
        body((value, offset) => b.run(v128.store(p.to, value, offset)));
        b.increase(p.from, step * 2);
        b.increase(p.to, step * 4);
        b.increase(p.count, -step);
      });
    };
    const each = (load: (all: boolean) => V128, widen: (halves: V128) => readonly [V128, V128]): void => {
      rounds(8, (store) => {
        const [low, high] = widen(load(true));
        store(low, 0);
        store(high, 16);
      });
      rounds(4, (store) => store(widen(load(false))[0], 0));
    };
    const load = (all: boolean): V128 => (all ? v128.load(p.from) : v128.load64Zero(p.from));
    b.if(i32.eq(p.stored, STORED.F16), () => each(load, fromHalf), () => each(load, (halves) => {
      b.set(eight, halves);
      return [i32x4.shl(i32x4.extendLowI16x8U(eight), 16), i32x4.shl(i32x4.extendHighI16x8U(eight), 16)];
    }));
  });
}

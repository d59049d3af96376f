import { createHash } from 'node:crypto';
import { f32x4, i16x8, i32, i32x4, i8x16, v128, type V128 } from '../../src/wasm/instructions.js';
import { createModule, type Body, type Local } from '../../src/wasm/module.js';
import { randomFrom } from './random.js';

/*
 * Random programs of all vector instructions that the assembler has: operands are variables, more than there are registers, memory and
 * nested expressions. What they compute is defined to the bit, so every compiler must come to the same.
 */

const VARIABLES = 14;
const STATEMENTS = 40;
const MAX_DEPTH = 3;

type Binary = (a: V128, b: V128) => V128;
type Unary = (a: V128) => V128;

const UNARY: readonly Unary[] = [
  i8x16.popcnt, i16x8.extaddPairwiseI8x16U, i16x8.extendLowI8x16S, i16x8.extendHighI8x16S, i32x4.extendLowI16x8S, i32x4.extendHighI16x8S,
  i32x4.extaddPairwiseI16x8U,
];
const BINARY: readonly Binary[] = [
  i8x16.swizzle, i16x8.q15MulrSat, // twice as often as others
  v128.and, v128.or, v128.xor, i8x16.swizzle, i8x16.geU, i8x16.add, i8x16.sub, i8x16.avgrU, i16x8.add, i16x8.sub,
  i16x8.mul, i16x8.q15MulrSat, i32x4.ltS, i32x4.add, i32x4.sub,
];
const RELAXED: Binary = (a, b) => i8x16.relaxedSwizzle(a, v128.and(b, v128.const(new Array<number>(16).fill(0x0f))));
const SHIFTS = [i8x16.shrU, i16x8.shl, i16x8.shrS, i16x8.shrU, i32x4.shl, i32x4.shrS, i32x4.shrU];
/** A NaN may have any bits, so what they give is set to 0 where it is one. */
const FLOAT: readonly Binary[] = [
  f32x4.add, f32x4.sub, f32x4.mul, f32x4.div, f32x4.pmin, f32x4.pmax, f32x4.ge, f32x4.convertI32x4S, f32x4.floor, f32x4.trunc, f32x4.abs, f32x4.neg,
];

/** Writes one program: all variables are read from memory, changed in three rounds, and written to memory. */
function writeProgram(b: Body, seed: number, relaxed: boolean): void {
  const random = randomFrom(seed);
  const pick = <T>(list: readonly T[]): T => list[random.integer(0, list.length - 1)]!;
  const byte = (): number => random.integer(0, 255);
  const variables: Local<'v128'>[] = Array.from({ length: VARIABLES }, (_, n) => b.local('v128', v128.load(0, n * 16)));
  const round = b.local('i32', i32.const(3));
  const operand = (depth: number): V128 => {
    const kind = random.unit();
    if (depth < MAX_DEPTH && kind < 0.4) return expression(depth + 1);
    if (kind < 0.8) return pick(variables);
    if (kind < 0.9) return v128.load(0, random.integer(0, VARIABLES - 1) * 16);
    return v128.const(Array.from({ length: 16 }, byte));
  };
  const expression = (depth: number): V128 => {
    const kind = random.unit();
    if (kind < 0.15) return pick(UNARY)(operand(depth));
    if (kind < 0.25) return pick(SHIFTS)(operand(depth), random.integer(0, 20));
    if (kind < 0.4) return i8x16.shuffle(operand(depth), operand(depth), Array.from({ length: 16 }, () => random.integer(0, 31)));
    if (relaxed && kind < 0.5) return RELAXED(operand(depth), operand(depth));
    return pick(BINARY)(operand(depth), operand(depth));
  };
  b.doWhile(() => {
    for (let n = 0; n < STATEMENTS; n++) {
      const variable = pick(variables);
      if (random.unit() < 0.2) {
        b.set(variable, pick(FLOAT)(operand(1), operand(1)));
        b.set(variable, v128.and(f32x4.ge(variable, variable), variable));
      } else {
        b.set(variable, expression(0));
      }
    }
    b.increase(round, -1);
  }, () => round);
  variables.forEach((variable, n) => b.run(v128.store(0, variable, n * 16)));
}

/** The SHA-256 of what `count` programs compute. */
export function hashPrograms(seed: number, count: number, relaxed: boolean): string {
  const module = createModule({ sharedMemory: false });
  for (let n = 0; n < count; n++) module.func(`program${n}`, {}, (b) => writeProgram(b, seed + n, relaxed));
  const memory = new WebAssembly.Memory({ initial: 1 });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()), { env: { memory } });
  const bytes = new Uint8Array(memory.buffer, 0, VARIABLES * 16);
  const hash = createHash('sha256');
  for (let n = 0; n < count; n++) {
    const random = randomFrom(seed + n);
    bytes.forEach((_, at) => { bytes[at] = random.integer(0, 255); });
    (instance.exports[`program${n}`] as () => void)();
    hash.update(bytes);
  }
  return hash.digest('hex');
}

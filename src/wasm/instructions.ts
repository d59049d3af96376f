import { float32Bytes, signedLeb, unsignedLeb, type ValueType } from './encode.js';

/*
 * Instructions as typed expressions: `i32.add(p, 16)` is an expression of type i32 whose operands are expressions. Each holds
 * the bytes that leave its value on the stack, operands first (WebAssembly Core Specification 2.0, §5.4; Relaxed SIMD and Threads
 * proposals for theirs). Types are checked by TypeScript, so that a kernel that compiles also validates.
 */

export interface Expr<T extends ValueType> {
  readonly type: T;
  readonly code: readonly number[];
}
export type I32 = Expr<'i32'>;
export type I64 = Expr<'i64'>;
export type F32 = Expr<'f32'>;
export type V128 = Expr<'v128'>;

/** An instruction that leaves nothing on the stack. */
export interface Statement {
  readonly code: readonly number[];
}

/** i32 operands may be written as plain numbers. */
export type I32Operand = I32 | number;

function i32Operand(operand: I32Operand): I32 {
  return typeof operand === 'number' ? i32.const(operand) : operand;
}

function expression<T extends ValueType>(type: T, ...parts: readonly (readonly number[])[]): Expr<T> {
  return { type, code: new Array<number>().concat(...parts) };
}

const SIMD = 0xfd;
const ATOMIC = 0xfe;
/** Relaxed SIMD has its opcodes from 0x100 on. */
const simd = (opcode: number): number[] => [SIMD, ...unsignedLeb(opcode)];

/** Alignment as a power of two, and the offset. */
const memoryArgument = (align: number, offset: number): number[] => [...unsignedLeb(align), ...unsignedLeb(offset)];

const i32Binary = (opcode: number) => (a: I32Operand, b: I32Operand): I32 =>
  expression('i32', i32Operand(a).code, i32Operand(b).code, [opcode]);
const f32Binary = (opcode: number) => (a: F32, b: F32): F32 => expression('f32', a.code, b.code, [opcode]);
const f32Unary = (opcode: number) => (a: F32): F32 => expression('f32', a.code, [opcode]);
const v128Unary = (opcode: number) => (a: V128): V128 => expression('v128', a.code, simd(opcode));
const v128Binary = (opcode: number) => (a: V128, b: V128): V128 => expression('v128', a.code, b.code, simd(opcode));
const v128Ternary = (opcode: number) => (a: V128, b: V128, c: V128): V128 =>
  expression('v128', a.code, b.code, c.code, simd(opcode));
const IN_PLACE = Array.from({ length: 16 }, (_, lane) => lane);
/**
 * As v128Binary, for what V8's baseline compiler gets wrong on x86 without AVX (Node 20, 22, 24): to compute into the register of b it
 * first moves a there, and so forgets b. It takes that of a if nothing else is in it, but that of b if a variable is. So a variable
 * goes through a shuffle that moves nothing, which optimising compilers leave out. Making b a variable does not help: one that has been
 * spilled is loaded into a register of its own.
 */
const v128Overwriting = (opcode: number) => (a: V128, b: V128): V128 =>
  expression('v128', ('index' in a ? i8x16.shuffle(a, a, IN_PLACE) : a).code, b.code, simd(opcode));
const v128Shift = (opcode: number) => (a: V128, bits: I32Operand): V128 =>
  expression('v128', a.code, i32Operand(bits).code, simd(opcode));
const splatI32 = (opcode: number) => (a: I32Operand): V128 => expression('v128', i32Operand(a).code, simd(opcode));

const load = <T extends ValueType>(type: T, opcode: readonly number[], align: number) =>
  (address: I32Operand, offset = 0): Expr<T> => expression(type, i32Operand(address).code, opcode, memoryArgument(align, offset));
const store = <T extends ValueType>(_type: T, opcode: readonly number[], align: number) =>
  (address: I32Operand, value: Expr<T>, offset = 0): Statement =>
    ({ code: [...i32Operand(address).code, ...value.code, ...opcode, ...memoryArgument(align, offset)] });

export const i32 = {
  const: (value: number): I32 => expression('i32', [0x41], signedLeb(value | 0)),
  load: load('i32', [0x28], 2),
  load8U: load('i32', [0x2d], 0),
  load16U: load('i32', [0x2f], 1),
  store: store('i32', [0x36], 2),
  eqz: (a: I32): I32 => expression('i32', a.code, [0x45]),
  eq: i32Binary(0x46),
  ne: i32Binary(0x47),
  ltS: i32Binary(0x48),
  gtS: i32Binary(0x4a),
  ltU: i32Binary(0x49),
  leU: i32Binary(0x4d),
  geU: i32Binary(0x4f),
  add: i32Binary(0x6a),
  sub: i32Binary(0x6b),
  mul: i32Binary(0x6c),
  divU: i32Binary(0x6e),
  and: i32Binary(0x71),
  or: i32Binary(0x72),
  shl: i32Binary(0x74),
  shrU: i32Binary(0x76),
  fromI64: (a: I64): I32 => expression('i32', a.code, [0xa7]),
  /** a if the condition is not 0, else b. */
  select: (a: I32Operand, b: I32Operand, condition: I32): I32 =>
    expression('i32', i32Operand(a).code, i32Operand(b).code, condition.code, [0x1b]),
  /** The smaller one, unsigned. Both are evaluated twice. */
  minU: (a: I32Operand, b: I32Operand): I32 => i32.select(a, b, i32.ltU(a, b)),
  atomicLoad: load('i32', [ATOMIC, 0x10], 2),
  atomicStore: store('i32', [ATOMIC, 0x17], 2),
  /** Adds to memory; the value before. */
  atomicAdd: (address: I32Operand, value: I32Operand, offset = 0): I32 =>
    expression('i32', i32Operand(address).code, i32Operand(value).code, [ATOMIC, 0x1e], memoryArgument(2, offset)),
};

export const i64 = {
  const: (value: number): I64 => expression('i64', [0x42], signedLeb(value)),
  add: (a: I64, b: I64): I64 => expression('i64', a.code, b.code, [0x7c]),
  eq: (a: I64, b: I64): I32 => expression('i32', a.code, b.code, [0x51]),
  or: (a: I64, b: I64): I64 => expression('i64', a.code, b.code, [0x84]),
  shl: (a: I64, b: I64): I64 => expression('i64', a.code, b.code, [0x86]),
  extendI32U: (a: I32): I64 => expression('i64', a.code, [0xad]),
  atomicLoad: load('i64', [ATOMIC, 0x11], 3),
  atomicStore: store('i64', [ATOMIC, 0x18], 3),
  /** Writes `replacement` if memory holds `expected`; the value before. */
  atomicCompareExchange: (address: I32Operand, expected: I64, replacement: I64, offset = 0): I64 =>
    expression('i64', i32Operand(address).code, expected.code, replacement.code, [ATOMIC, 0x49], memoryArgument(3, offset)),
};

export const memory = {
  /** Sets `length` bytes to `value`. */
  fill: (address: I32Operand, value: I32Operand, length: I32Operand): Statement =>
    ({ code: [...i32Operand(address).code, ...i32Operand(value).code, ...i32Operand(length).code, 0xfc, 0x0b, 0] }),
  /** Copies `length` bytes; the two places may overlap. */
  copy: (to: I32Operand, from: I32Operand, length: I32Operand): Statement =>
    ({ code: [...i32Operand(to).code, ...i32Operand(from).code, ...i32Operand(length).code, 0xfc, 0x0a, 0, 0] }),
};

export const atomic = {
  /** Wakes up to `count` waiters; how many there were. */
  notify: (address: I32Operand, count: I32Operand, offset = 0): I32 =>
    expression('i32', i32Operand(address).code, i32Operand(count).code, [ATOMIC, 0x00], memoryArgument(2, offset)),
  /** Sleeps while memory holds `expected`, for at most `nanoseconds` (-1: without end). 0 woken, 1 other value, 2 time is up. */
  wait32: (address: I32Operand, expected: I32, nanoseconds: I64, offset = 0): I32 =>
    expression('i32', i32Operand(address).code, expected.code, nanoseconds.code, [ATOMIC, 0x01], memoryArgument(2, offset)),
};

export const f32 = {
  const: (value: number): F32 => expression('f32', [0x43], float32Bytes(value)),
  load: load('f32', [0x2a], 2),
  store: store('f32', [0x38], 2),
  abs: f32Unary(0x8b),
  sqrt: f32Unary(0x91),
  add: f32Binary(0x92),
  mul: f32Binary(0x94),
  div: f32Binary(0x95),
  max: f32Binary(0x97),
  convertI32S: (a: I32): F32 => expression('f32', a.code, [0xb2]),
};

export const v128 = {
  /** 16 bytes. */
  const: (bytes: readonly number[]): V128 => expression('v128', simd(0x0c), bytes.map((byte) => byte & 255)),
  load: load('v128', simd(0x00), 4),
  /** Four bytes, the rest 0. */
  load32Zero: load('v128', simd(0x5c), 2),
  load64Zero: load('v128', simd(0x5d), 3),
  load32Splat: load('v128', simd(0x09), 2),
  store: store('v128', simd(0x0b), 4),
  store8Lane: (address: I32Operand, value: V128, lane: number, offset = 0): Statement =>
    ({ code: [...i32Operand(address).code, ...value.code, ...simd(0x58), ...memoryArgument(0, offset), lane] }),
  store32Lane: (address: I32Operand, value: V128, lane: number, offset = 0): Statement =>
    ({ code: [...i32Operand(address).code, ...value.code, ...simd(0x5a), ...memoryArgument(2, offset), lane] }),
  store64Lane: (address: I32Operand, value: V128, lane: number, offset = 0): Statement =>
    ({ code: [...i32Operand(address).code, ...value.code, ...simd(0x5b), ...memoryArgument(3, offset), lane] }),
  and: v128Binary(0x4e),
  or: v128Binary(0x50),
  xor: v128Binary(0x51),
  /** Bits of a where the mask's are 1, of b elsewhere. */
  bitSelect: v128Ternary(0x52),
  /** 1 if any bit is. */
  anyTrue: (a: V128): I32 => expression('i32', a.code, simd(0x53)),
};

export const i8x16 = {
  splat: splatI32(0x0f),
  /** Byte i is byte lanes[i] of a (0–15) or of b (16–31). */
  shuffle: (a: V128, b: V128, lanes: readonly number[]): V128 => expression('v128', a.code, b.code, simd(0x0d), lanes),
  /** Byte i is byte indices[i] of table; 0 where the index is beyond 15. */
  swizzle: v128Overwriting(0x0e),
  /** The same for indices up to 15; what others give depends on the machine. */
  relaxedSwizzle: v128Overwriting(0x100),
  /** All ones where a ≥ b, unsigned. */
  geU: v128Binary(0x2c),
  popcnt: v128Unary(0x62),
  shrU: v128Shift(0x6d),
  add: v128Binary(0x6e),
  sub: v128Binary(0x71),
  /** (a + b + 1) >> 1, unsigned. */
  avgrU: v128Binary(0x7b),
};

export const i16x8 = {
  splat: splatI32(0x10),
  shl: v128Shift(0x8b),
  shrS: v128Shift(0x8c),
  shrU: v128Shift(0x8d),
  add: v128Binary(0x8e),
  sub: v128Binary(0x91),
  mul: v128Binary(0x95),
  extaddPairwiseI8x16U: v128Unary(0x7d),
  extendLowI8x16S: v128Unary(0x87),
  extendHighI8x16S: v128Unary(0x88),
  /** (a·b + 2¹⁴) >> 15, saturating. */
  q15MulrSat: v128Overwriting(0x82),
};

export const i32x4 = {
  splat: splatI32(0x11),
  extractLane: (a: V128, lane: number): I32 => expression('i32', a.code, simd(0x1b), [lane]),
  ltS: v128Binary(0x39),
  shl: v128Shift(0xab),
  shrS: v128Shift(0xac),
  shrU: v128Shift(0xad),
  add: v128Binary(0xae),
  sub: v128Binary(0xb1),
  /** The sum of the products of each two 16-bit lanes. */
  dotI16x8S: v128Binary(0xba),
  extendLowI16x8S: v128Unary(0xa7),
  extendHighI16x8S: v128Unary(0xa8),
  extendLowI16x8U: v128Unary(0xa9),
  extendHighI16x8U: v128Unary(0xaa),
  extaddPairwiseI16x8U: v128Unary(0x7f),
  /**
   * c + the sums of four neighbouring products, a signed, b from 0 to 127: what a larger b gives depends on the machine. Node 20's
   * baseline compiler gets it wrong: it may write over c before it reads it.
   */
  relaxedDotAdd: v128Ternary(0x113),
};

export const f32x4 = {
  splat: (a: F32): V128 => expression('v128', a.code, simd(0x13)),
  extractLane: (a: V128, lane: number): F32 => expression('f32', a.code, simd(0x1f), [lane]),
  convertI32x4S: v128Unary(0xfa),
  floor: v128Unary(0x68),
  trunc: v128Unary(0x69),
  /** Half to even. */
  nearest: v128Unary(0x6a),
  abs: v128Unary(0xe0),
  neg: v128Unary(0xe1),
  ge: v128Binary(0x46),
  add: v128Binary(0xe4),
  sub: v128Binary(0xe5),
  mul: v128Binary(0xe6),
  div: v128Binary(0xe7),
  /** b < a ? b : a */
  pmin: v128Binary(0xea),
  /** a < b ? b : a */
  pmax: v128Binary(0xeb),
};

import { LOCAL_GET, LOCAL_TEE, readFunctions, withFunctions, type Instruction, type WasmFunction } from './wasm-code.js';
import { unsignedLeb } from '../../src/wasm/encode.js';

/* Modules with one fault each: what an engine that computes wrongly could make of them. */

export interface Fault {
  /** The function that has it. */
  readonly where: string;
  /** Where there, and what it is. */
  readonly name: string;
  module(): Uint8Array<ArrayBuffer>;
}

const plain = (...bytes: readonly number[]): Instruction => ({ opcode: bytes[0]!, bytes, index: 0 });
const onLocal = (opcode: number, index: number): Instruction => ({ opcode, bytes: [opcode, ...unsignedLeb(index)], index });
const END = plain(0x0b);
const DROP = plain(0x1a);
const V128 = 0x7b;
const BYTES_ADD = plain(0xfd, 0x6e);
const ZEROS: Readonly<Record<string, Instruction>> = { i32: plain(0x41, 0), f32: plain(0x43, 0, 0, 0, 0) };
const DOT_ADD = 0xfd113;
const I32_ONE = plain(0x41, 1);
const I32_ADD = plain(0x6a);
/** i32.reinterpret_f32 and f32.reinterpret_i32. */
const [FLOAT_TO_BITS, BITS_TO_FLOAT] = [plain(0xbc), plain(0xbe)];

function oneIn(byte: number): Instruction {
  return plain(0xfd, 0x0c, ...Array.from({ length: 16 }, (_, n) => Number(n === byte)));
}

/** What adds 1 to a value that is about to be stored (to a float's bits); to `byte` of a vector, or to the lane that is stored. Undefined for other instructions. */
function increase({ opcode, bytes }: Instruction, byte: number): Instruction[] | undefined {
  if (opcode === 0x36 || opcode === 0x3a) return [I32_ONE, I32_ADD];
  if (opcode === 0x38) return [FLOAT_TO_BITS, I32_ONE, I32_ADD, BITS_TO_FLOAT];
  if (opcode === 0xfd00b) return [oneIn(byte), BYTES_ADD];
  if (opcode === 0xfd058) return [oneIn(bytes.at(-1)!), BYTES_ADD];
  if (opcode === 0xfd05a) return [oneIn(4 * bytes.at(-1)!), BYTES_ADD];
  return undefined;
}

/** The module with the instructions of function `n` from `at` to `end` replaced. */
function replaced(module: Uint8Array, functions: readonly WasmFunction[], n: number, at: number, end: number, by: readonly Instruction[], locals: readonly number[] = []): Uint8Array<ArrayBuffer> {
  const { instructions, locals: own } = functions[n]!;
  const changed = { ...functions[n]!, locals: [...own, ...locals], instructions: [...instructions.slice(0, at), ...by, ...instructions.slice(end)] };
  return withFunctions(module, functions.map((kept, m) => (m === n ? changed : kept)));
}

/** Each function does nothing; its result is 0. */
export function* idleFunctions(module: Uint8Array): Generator<Fault> {
  const functions = readFunctions(module);
  for (const [n, { name, result, instructions }] of functions.entries()) {
    const body = result === undefined ? [END] : [ZEROS[result]!, END];
    yield { where: name, name, module: () => replaced(module, functions, n, 0, instructions.length, body) };
  }
}

/** Each store stores a value that is off by one, in `byte` of a vector. */
export function* wrongStores(module: Uint8Array, byte: number): Generator<Fault> {
  const functions = readFunctions(module);
  for (const [n, { name, instructions }] of functions.entries()) {
    for (const [at, instruction] of instructions.entries()) {
      const by = increase(instruction, byte);
      if (by) yield { where: name, name: `${name}, store ${at}, byte ${byte}`, module: () => replaced(module, functions, n, at, at, by) };
    }
  }
}

/** Each of these instructions forgets its second operand for its first, as V8's baseline compiler does without AVX. */
export function* forgottenOperands(module: Uint8Array, opcodes: ReadonlySet<number>): Generator<Fault> {
  const functions = readFunctions(module);
  for (const [n, { name, parameters, locals, instructions }] of functions.entries()) {
    const copy = parameters + locals.length;
    for (const [at, { opcode }] of instructions.entries()) {
      if (!opcodes.has(opcode)) continue;
      const by = [DROP, onLocal(LOCAL_TEE, copy), onLocal(LOCAL_GET, copy)];
      yield { where: name, name: `${name}, instruction ${at}`, module: () => replaced(module, functions, n, at, at, by, [V128]) };
    }
  }
}

/** Each sum of dot products forgets what it is to be added to, as the baseline compiler of Node 20 does. */
export function* forgottenSums(module: Uint8Array): Generator<Fault> {
  const functions = readFunctions(module);
  const zero = plain(0xfd, 0x0c, ...new Array<number>(16).fill(0));
  for (const [n, { name, instructions }] of functions.entries()) {
    for (const [at, { opcode }] of instructions.entries()) {
      if (opcode === DOT_ADD) yield { where: name, name: `${name}, instruction ${at}`, module: () => replaced(module, functions, n, at, at, [DROP, zero]) };
    }
  }
}

/** Vector and float instructions that an engine might take one for the other, on the same types. */
const ALIKE: ReadonlyMap<number, number> = new Map([
  [0x92, 0x93], [0x94, 0x95], [0x95, 0x94], [0x97, 0x96], [0x91, 0x8b], // f32: add, mul, div, max, sqrt
  [0xfd04e, 0xfd050], [0xfd050, 0xfd04e], [0xfd051, 0xfd050], // and, or, xor
  [0xfd06e, 0xfd071], [0xfd071, 0xfd06e], [0xfd08e, 0xfd091], [0xfd091, 0xfd08e], [0xfd0ae, 0xfd0b1], [0xfd0b1, 0xfd0ae], // add, sub
  [0xfd095, 0xfd08e], [0xfd082, 0xfd095], [0xfd00e, 0xfd04e], [0xfd100, 0xfd04e], [0xfd02c, 0xfd02a], [0xfd039, 0xfd037], // mul, q15mulr, swizzles, ge, lt
  [0xfd08b, 0xfd08d], [0xfd08c, 0xfd08d], [0xfd08d, 0xfd08c], [0xfd0ab, 0xfd0ad], [0xfd0ac, 0xfd0ad], [0xfd0ad, 0xfd0ac], [0xfd06d, 0xfd06b], // shifts
  [0xfd087, 0xfd089], [0xfd088, 0xfd08a], [0xfd0a7, 0xfd0a9], [0xfd0a8, 0xfd0aa], [0xfd0fa, 0xfd0fb], [0xfd062, 0xfd060], [0xfd07b, 0xfd06e], // signed for unsigned, avgr
  [0xfd0e4, 0xfd0e5], [0xfd0e5, 0xfd0e4], [0xfd0e6, 0xfd0e7], [0xfd0e7, 0xfd0e6], [0xfd0ea, 0xfd0eb], [0xfd0eb, 0xfd0ea], // f32x4: add, mul, pmin
  [0xfd068, 0xfd069], [0xfd069, 0xfd068], [0xfd0e0, 0xfd0e1], [0xfd0e1, 0xfd0e0], // floor, trunc, abs, neg
]);

const V128_AND = 0xfd04e;
const SHIFTS_RIGHT: ReadonlySet<number> = new Set([0xfd06d, 0xfd08c, 0xfd08d, 0xfd0ac, 0xfd0ad]);

/** Each vector and float instruction is another one. What comes in from the left of a shift does not count where it is masked at once. */
export function* otherInstructions(module: Uint8Array): Generator<Fault> {
  const functions = readFunctions(module);
  for (const [n, { name, instructions }] of functions.entries()) {
    for (const [at, { opcode }] of instructions.entries()) {
      const other = ALIKE.get(opcode);
      const masked = instructions[at + (instructions[at + 1]?.opcode === LOCAL_GET ? 2 : 1)]?.opcode === V128_AND;
      if (other === undefined || (masked && SHIFTS_RIGHT.has(opcode))) continue;
      const bytes = other > 0xff ? [other >> 12, ...unsignedLeb(other & 0xfff)] : [other];
      yield { where: name, name: `${name}, instruction ${at}: 0x${opcode.toString(16)} is 0x${other.toString(16)}`, module: () => replaced(module, functions, n, at, at + 1, [plain(...bytes)]) };
    }
  }
}

import { sectionBytes, TYPE_CODES, unsignedLeb, vectorBytes, type ValueType } from '../../src/wasm/encode.js';

/* Reads the code of a module that the assembler has made, instruction by instruction, and writes it again with changes. */

export interface Instruction {
  /** After a prefix, in three digits: 0xfd082 is i16x8.q15mulr_sat_s, 0xfd100 i8x16.relaxed_swizzle. */
  readonly opcode: number;
  readonly bytes: readonly number[];
  /** The function that a `call` calls, the variable of a `local.…`. */
  readonly index: number;
}

export interface WasmFunction {
  readonly name: string;
  readonly parameters: number;
  readonly result: ValueType | undefined;
  /** Types of its variables that are no parameters, as `add` takes them. */
  readonly locals: number[];
  readonly instructions: Instruction[];
}

const [FUNCTION_TYPES, FUNCTIONS, EXPORTS, CODE] = [1, 3, 7, 10];
const VALUE_TYPES = Object.keys(TYPE_CODES) as ValueType[];
const I32_CONST = 0x41;
const I64_CONST = 0x42;
export const [LOCAL_GET, LOCAL_SET, LOCAL_TEE, CALL] = [0x20, 0x21, 0x22, 0x10];

function readerOf(bytes: Uint8Array, start = 0): { at: number; take(count: number): number[]; number(): number } {
  const reader = {
    at: start,
    take(count: number): number[] {
      reader.at += count;
      return [...bytes.subarray(reader.at - count, reader.at)];
    },
    /** LEB128; of signed ones only the length is right. */
    number(): number {
      for (let value = 0, scale = 1; ; scale *= 128) {
        const byte = bytes[reader.at++]!;
        value += (byte & 127) * scale;
        if (byte < 128) return value;
      }
    },
  };
  return reader;
}

/** Sections by their number, from the first byte of their content on. */
function sections(module: Uint8Array): Map<number, { readonly start: number; readonly end: number }> {
  const found = new Map<number, { start: number; end: number }>();
  for (const reader = readerOf(module, 8); reader.at < module.length; ) {
    const id = reader.take(1)[0]!;
    const length = reader.number();
    found.set(id, { start: reader.at, end: reader.at + length });
    reader.at += length;
  }
  return found;
}

export function readFunctions(module: Uint8Array): WasmFunction[] {
  const parts = sections(module);
  const at = (id: number): ReturnType<typeof readerOf> => readerOf(module, parts.get(id)!.start);
  const list = <T>(id: number, read: (reader: ReturnType<typeof readerOf>) => T): T[] => {
    const reader = at(id);
    return Array.from({ length: reader.number() }, () => read(reader));
  };
  const types = list(FUNCTION_TYPES, (reader) => {
    reader.take(1);
    const parameters = reader.take(reader.number()).length;
    const [code] = reader.take(reader.number());
    return { parameters, result: VALUE_TYPES.find((type) => TYPE_CODES[type] === code) };
  });
  const typeOf = list(FUNCTIONS, (reader) => types[reader.number()]!);
  const names = list(EXPORTS, (reader) => {
    const name = String.fromCharCode(...reader.take(reader.number()));
    reader.take(1);
    return [reader.number(), name] as const;
  });
  const nameOf = new Map(names);
  return list(CODE, (reader) => {
    const end = reader.number() + reader.at;
    const locals = Array.from({ length: reader.number() }, () => reader.take(2)[1]!); // each with a count of 1
    const instructions: Instruction[] = [];
    while (reader.at < end) instructions.push(readInstruction(module, reader));
    return { locals, instructions };
  }).map((code, n) => ({ name: nameOf.get(n) ?? `function ${n}`, ...typeOf[n]!, ...code }));
}

function readInstruction(module: Uint8Array, reader: ReturnType<typeof readerOf>): Instruction {
  const start = reader.at;
  let opcode = reader.take(1)[0]!;
  if (within(opcode, [0xfc, 0xfe])) opcode = opcode * 0x1000 + reader.number();
  let index = 0;
  const { immediate } = shapeOf(opcode);
  if (immediate === 'index') index = reader.number();
  else if (immediate === 'memory' || immediate === 'lane of memory') [reader.number(), reader.number()];
  else reader.take(immediate);
  if (opcode === I32_CONST || opcode === I64_CONST) reader.number();
  if (immediate === 'lane of memory') reader.take(1);
  return { opcode, bytes: [...module.subarray(start, reader.at)], index };
}

/** The module with other bodies of its functions. */
export function withFunctions(module: Uint8Array, functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
  const { start } = sections(module).get(CODE)!;
  const before = module.subarray(0, start - unsignedLeb(module.length - start).length - 1);
  const bodies = functions.map(({ locals, instructions }) => {
    const code = [...vectorBytes(locals.map((type) => [1, type])), ...instructions.flatMap(({ bytes }) => bytes)];
    return [...unsignedLeb(code.length), ...code];
  });
  return Uint8Array.from([...before, ...sectionBytes(CODE, vectorBytes(bodies))]);
}

interface Shape {
  readonly takes: number;
  readonly gives: number;
  readonly immediate: number | 'index' | 'memory' | 'lane of memory';
}

const shape = (takes: number, gives: number, immediate: Shape['immediate'] = 0): Shape => ({ takes, gives, immediate });
const within = (opcode: number, ...ranges: readonly (readonly [number, number])[]): boolean => ranges.some(([from, to]) => opcode >= from && opcode <= to);

/** What an instruction takes from the stack and leaves there, calls aside. @throws RangeError for what we never emit. */
export function shapeOf(opcode: number): Shape {
  const [prefix, second] = [opcode >> 12, opcode & 0xfff];
  if (prefix === 0xfd) return shapeOfVector(second);
  if (prefix === 0xfc && second === 0x0a) return shape(3, 0, 2);
  if (prefix === 0xfc && second === 0x0b) return shape(3, 0, 1);
  if (prefix === 0xfe) {
    if (second === 0x01 || within(second, [0x48, 0x4e])) return shape(3, 1, 'memory');
    if (within(second, [0x10, 0x16])) return shape(1, 1, 'memory');
    return shape(2, within(second, [0x17, 0x1d]) ? 0 : 1, 'memory');
  }
  if (opcode === 0x02 || opcode === 0x03) return shape(0, 0, 1);
  if (opcode === 0x04) return shape(1, 0, 1);
  if (opcode === 0x05 || opcode === 0x0b || opcode === 0x0f) return shape(0, 0);
  if (opcode === 0x0d) return shape(1, 0, 'index');
  if (opcode === CALL) return shape(0, 0, 'index');
  if (opcode === 0x1b) return shape(3, 1);
  if (opcode === LOCAL_GET) return shape(0, 1, 'index');
  if (opcode === LOCAL_SET) return shape(1, 0, 'index');
  if (opcode === LOCAL_TEE) return shape(1, 1, 'index');
  if (within(opcode, [0x28, 0x35])) return shape(1, 1, 'memory');
  if (within(opcode, [0x36, 0x3e])) return shape(2, 0, 'memory');
  if (opcode === I32_CONST || opcode === I64_CONST) return shape(0, 1);
  if (opcode === 0x43) return shape(0, 1, 4);
  if (opcode === 0x45 || opcode === 0x50 || within(opcode, [0x67, 0x69], [0x79, 0x7b], [0x8b, 0x91], [0xa7, 0xbf])) return shape(1, 1);
  if (within(opcode, [0x46, 0x66], [0x6a, 0x98])) return shape(2, 1);
  throw new RangeError(`instruction 0x${opcode.toString(16)} is unknown here`);
}

function shapeOfVector(opcode: number): Shape {
  if (opcode <= 0x0a || within(opcode, [0x5c, 0x5d])) return shape(1, 1, 'memory');
  if (opcode === 0x0b) return shape(2, 0, 'memory');
  if (opcode === 0x0c) return shape(0, 1, 16);
  if (opcode === 0x0d) return shape(2, 1, 16);
  if (within(opcode, [0x0f, 0x14])) return shape(1, 1);
  if ([0x15, 0x16, 0x18, 0x19, 0x1b, 0x1d, 0x1f, 0x21].includes(opcode)) return shape(1, 1, 1);
  if (within(opcode, [0x54, 0x57])) return shape(2, 1, 'lane of memory');
  if (within(opcode, [0x58, 0x5b])) return shape(2, 0, 'lane of memory');
  if (opcode === 0x52 || within(opcode, [0x105, 0x10c], [0x113, 0x113])) return shape(3, 1);
  const unary = [0x4d, 0x53, 0x60, 0x61, 0x62, 0x63, 0x64, 0x80, 0x81, 0x83, 0x84, 0xa0, 0xa1, 0xa3, 0xa4, 0xe0, 0xe1, 0xe3].includes(opcode) ||
    within(opcode, [0x67, 0x6a], [0x7c, 0x7f], [0x87, 0x8a], [0xa7, 0xaa], [0xc7, 0xca], [0xf8, 0xff], [0x101, 0x104]);
  return unary ? shape(1, 1) : shape(2, 1);
}

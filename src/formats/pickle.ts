import { FormatError, show } from '../errors.js';

/*
 * A pickle is a program for a stack machine, and Python's machine can be made to run anything. This one knows the opcodes that
 * `torch.save` writes for a dictionary of tensors. It calls nothing but its host, and the host knows a handful of names.
 */

/** A value of a pickle: tuples are arrays, dictionaries are Maps, `T` is what the host makes of globals and calls. */
export type PickleValue<T> = null | boolean | number | string | T | PickleTuple<T> | PickleDict<T>;
export type PickleTuple<T> = readonly PickleValue<T>[];
export type PickleDict<T> = Map<string, PickleValue<T>>;

/** Makes the error to throw: file and byte, then `what`. */
export type Complain = (what: string) => FormatError;

/** What the globals of a pickle mean. Each function throws what `complain` makes when it cannot. */
export interface PickleHost<T> {
  /** @param name "module.name". `undefined` refuses it. */
  global(name: string): T | undefined;
  call(callee: PickleValue<T>, args: PickleTuple<T>, complain: Complain): T | PickleDict<T>;
  /** The object that stands outside of the pickle under this id. */
  persistent(id: PickleValue<T>, complain: Complain): T;
}

/** A tensor takes about 30 opcodes. Each makes one value at most, so this bounds stack, memo and memory too. */
const MAX_STEPS = 2 ** 18;
const MAX_GLOBAL_BYTES = 256;

const MARK = 0x28; //  (
const EMPTY_TUPLE = 0x29; //  )
const STOP = 0x2e; //  .
const BININT = 0x4a; //  J
const BININT1 = 0x4b; //  K
const BININT2 = 0x4d; //  M
const NONE = 0x4e; //  N
const BINPERSID = 0x51; //  Q
const REDUCE = 0x52; //  R
const BINUNICODE = 0x58; //  X
const BUILD = 0x62; //  b
const GLOBAL = 0x63; //  c
const BINGET = 0x68; //  h
const LONG_BINGET = 0x6a; //  j
const BINPUT = 0x71; //  q
const LONG_BINPUT = 0x72; //  r
const SETITEM = 0x73; //  s
const TUPLE = 0x74; //  t
const SETITEMS = 0x75; //  u
const EMPTY_DICT = 0x7d; //  }
const PROTO = 0x80;
const TUPLE1 = 0x85;
const TUPLE2 = 0x86;
const TUPLE3 = 0x87;
const NEWTRUE = 0x88;
const NEWFALSE = 0x89;
const LONG1 = 0x8a;

/** The opcodes of a hostile pickle, for messages. */
const REFUSED: ReadonlyMap<number, string> = new Map([
  [0x69, 'INST'], [0x6f, 'OBJ'], [0x81, 'NEWOBJ'], [0x92, 'NEWOBJ_EX'], [0x93, 'STACK_GLOBAL'],
]);

/**
 * Runs a pickle of protocol 2 and gives the value that it builds. Time and memory are proportional to its length.
 * @param where begins every message.
 * @throws FormatError naming the byte, and the opcode or global that is refused.
 */
export function readPickle<T extends object>(where: string, bytes: Uint8Array, host: PickleHost<T>): PickleValue<T> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const stack: PickleValue<T>[] = [];
  const marks: number[] = []; // heights of the stack
  const memo = new Map<number, PickleValue<T>>();
  let opcodeAt = 0;
  let position = 0;

  const complain: Complain = (what) => new FormatError(`${where}, byte ${opcodeAt}: ${what}`);
  /** The place of the next `length` bytes, which are then behind. */
  const take = (length: number): number => {
    if (position + length > bytes.length) throw complain(`the pickle ends at byte ${bytes.length}, inside this opcode`);
    position += length;
    return position - length;
  };
  const u8 = (): number => bytes[take(1)]!;
  const u32 = (): number => view.getUint32(take(4), true);
  const text = (start: number, end: number): string => {
    try {
      return decoder.decode(bytes.subarray(start, end));
    } catch {
      throw complain('text is not valid UTF-8');
    }
  };
  const line = (): string => {
    const end = bytes.subarray(position, position + MAX_GLOBAL_BYTES).indexOf(0x0a);
    if (end < 0) throw complain(`a global's name has no end within ${MAX_GLOBAL_BYTES} bytes`);
    return text(take(end + 1), position - 1);
  };
  const found = <V>(value: V | undefined): V => {
    if (value === undefined) throw complain('needs a value, a mark or a memo that is not there');
    return value;
  };
  const pop = (): PickleValue<T> => found(stack.length > (marks[marks.length - 1] ?? 0) ? stack.pop() : undefined);
  const popMark = (): PickleValue<T>[] => stack.splice(found(marks.pop()));
  const tuple = (length: number): PickleTuple<T> => Array.from({ length }, pop).reverse();
  const put = (index: number): void => {
    // Python counts from 0. Numbers of an attacker's choice would collide in the Map and make it slow.
    if (index > MAX_STEPS) throw complain(`sets memo ${index}, more than ${MAX_STEPS}`);
    const value = pop();
    stack.push(value);
    memo.set(index, value);
  };
  const popDict = (): PickleDict<T> => {
    const value = pop();
    if (value instanceof Map) return value;
    throw complain('needs a dictionary');
  };
  const setItems = (items: PickleTuple<T>): PickleDict<T> => {
    const target = popDict();
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i]!;
      if (typeof key !== 'string' || target.has(key)) throw complain(`the key ${show(key)} is not text, or occurs twice`);
      target.set(key, found(items[i + 1]));
    }
    return target;
  };

  for (let count = 0; count < MAX_STEPS; count++) {
    opcodeAt = position;
    const opcode = u8();
    if (count === 0 && (opcode !== PROTO || u8() !== 2)) throw complain('is not a pickle of protocol 2, which torch.save writes unless told otherwise');
    if (count > 0) switch (opcode) {
      case STOP: {
        const value = pop();
        if (stack.length + marks.length > 0 || position !== bytes.length) throw complain('the pickle stops with values or bytes left over');
        return value;
      }
      case MARK: marks.push(stack.length); break;
      case NONE: stack.push(null); break;
      case NEWTRUE: stack.push(true); break;
      case NEWFALSE: stack.push(false); break;
      case BININT: stack.push(view.getInt32(take(4), true)); break;
      case BININT1: stack.push(u8()); break;
      case BININT2: stack.push(view.getUint16(take(2), true)); break;
      case LONG1: {
        const length = u8();
        if (length > 8) throw complain(`a number of ${length} bytes, more than 8`);
        const start = take(length);
        let value = length > 0 && bytes[position - 1]! > 127 ? -1 : 0;
        for (let i = length - 1; i >= 0; i--) value = value * 256 + bytes[start + i]!;
        if (!Number.isSafeInteger(value)) throw complain(`the number ${value} is beyond 2⁵³`);
        stack.push(value);
        break;
      }
      case BINUNICODE: {
        const length = u32();
        stack.push(text(take(length), position));
        break;
      }
      case EMPTY_TUPLE: stack.push([]); break;
      case TUPLE: stack.push(popMark()); break;
      case TUPLE1: case TUPLE2: case TUPLE3: stack.push(tuple(opcode - TUPLE1 + 1)); break;
      case EMPTY_DICT: stack.push(new Map()); break;
      case SETITEM: stack.push(setItems(tuple(2))); break;
      case SETITEMS: stack.push(setItems(popMark())); break;
      case BINPUT: put(u8()); break;
      case LONG_BINPUT: put(u32()); break;
      case BINGET: stack.push(found(memo.get(u8()))); break;
      case LONG_BINGET: stack.push(found(memo.get(u32()))); break;
      case GLOBAL: {
        const name = `${line()}.${line()}`;
        const value = host.global(name);
        if (value === undefined) throw complain(`asks for ${show(name)}, which is not a part of a tensor; nothing was executed`);
        stack.push(value);
        break;
      }
      case REDUCE: {
        const args = pop();
        if (!Array.isArray(args)) throw complain('a call needs a tuple of arguments');
        stack.push(host.call(pop(), args as PickleTuple<T>, complain));
        break;
      }
      case BINPERSID: stack.push(host.persistent(pop(), complain)); break;
      case BUILD:
        // A state_dict has an attribute `_metadata`, the versions of its modules.
        popDict();
        stack.push(popDict());
        break;
      default: throw complain(`opcode 0x${opcode.toString(16)}${REFUSED.has(opcode) ? ` (${REFUSED.get(opcode)})` : ''} is not one that a checkpoint needs`);
    }
  }
  throw complain(`takes more than ${MAX_STEPS} steps`);
}

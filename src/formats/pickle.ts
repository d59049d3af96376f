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

/** A tensor takes about 30 opcodes. Each makes one object at most, so this bounds memory too. */
const MAX_OPCODES = 2 ** 18;
/** Dictionaries are filled in batches of 1000 pairs. */
const MAX_STACK = 16_384;
const MAX_MEMO = 2 ** 17;
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

/** The other opcodes that there are, for messages: those of one character, then those from 0x81 on. */
const REFUSED =
  '0POP 1POP_MARK 2DUP FFLOAT GBINFLOAT IINT LLONG PPERSID SSTRING TBINSTRING USHORT_BINSTRING VUNICODE BBINBYTES CSHORT_BINBYTES ' +
  'aAPPEND dDICT eAPPENDS gGET iINST lLIST oOBJ pPUT ]EMPTY_LIST';
const REFUSED_FROM_0X81 =
  'NEWOBJ EXT1 EXT2 EXT4 - - - - - - LONG4 SHORT_BINUNICODE BINUNICODE8 BINBYTES8 EMPTY_SET ADDITEMS FROZENSET NEWOBJ_EX ' +
  'STACK_GLOBAL MEMOIZE FRAME BYTEARRAY8 NEXT_BUFFER READONLY_BUFFER';

function opcodeName(opcode: number): string {
  const name = REFUSED_FROM_0X81.split(' ')[opcode - 0x81] ?? REFUSED.split(' ').find((text) => text.charCodeAt(0) === opcode)?.slice(1);
  return `0x${opcode.toString(16).padStart(2, '0')}${name ? ` (${name})` : ''}`;
}

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
  const pop = (): PickleValue<T> => {
    const value = stack.length > (marks[marks.length - 1] ?? 0) ? stack.pop() : undefined;
    if (value === undefined) throw complain('takes a value from an empty stack');
    return value;
  };
  const popMark = (): PickleValue<T>[] => {
    const height = marks.pop();
    if (height === undefined) throw complain('takes values up to a mark that is not there');
    return stack.splice(height);
  };
  const tuple = (length: number): PickleTuple<T> => Array.from({ length }, pop).reverse();
  const get = (index: number): PickleValue<T> => {
    const value = memo.get(index);
    if (value === undefined) throw complain(`asks for memo ${index}, which is not set`);
    return value;
  };
  const put = (index: number): void => {
    if (index >= MAX_MEMO) throw complain(`sets memo ${index}; there may be ${MAX_MEMO}`);
    const value = pop();
    stack.push(value);
    memo.set(index, value);
  };
  const dict = (value: PickleValue<T>): PickleDict<T> => {
    if (!(value instanceof Map)) throw complain('needs a dictionary');
    return value;
  };
  const setItems = (items: PickleTuple<T>): PickleDict<T> => {
    const target = dict(pop());
    if (items.length % 2 !== 0) throw complain('sets a key without a value');
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i]!;
      if (typeof key !== 'string') throw complain('a key of a dictionary is not text');
      if (target.has(key)) throw complain(`the key ${show(key)} occurs twice`);
      target.set(key, items[i + 1]!);
    }
    return target;
  };

  for (let count = 0; count < MAX_OPCODES; count++) {
    opcodeAt = position;
    const opcode = bytes[take(1)]!;
    if ((opcode === PROTO) !== (count === 0)) throw complain(count === 0 ? 'is not a pickle of protocol 2' : 'a second pickle begins here');
    switch (opcode) {
      case PROTO: {
        const version = bytes[take(1)]!;
        if (version !== 2) throw complain(`pickle protocol ${version}; torch.save writes 2 unless told otherwise`);
        break;
      }
      case STOP: {
        const value = pop();
        if (stack.length > 0 || marks.length > 0) throw complain('the pickle stops with values left over');
        if (position !== bytes.length) throw complain(`${bytes.length - position} bytes follow the end of the pickle`);
        return value;
      }
      case MARK: marks.push(stack.length); break;
      case NONE: stack.push(null); break;
      case NEWTRUE: stack.push(true); break;
      case NEWFALSE: stack.push(false); break;
      case BININT: stack.push(view.getInt32(take(4), true)); break;
      case BININT1: stack.push(bytes[take(1)]!); break;
      case BININT2: stack.push(view.getUint16(take(2), true)); break;
      case LONG1: {
        const length = bytes[take(1)]!;
        if (length > 8) throw complain(`a number of ${length} bytes, more than 8`);
        const start = take(length);
        let value = length > 0 && bytes[position - 1]! > 127 ? -1 : 0;
        for (let i = length - 1; i >= 0; i--) value = value * 256 + bytes[start + i]!;
        if (!Number.isSafeInteger(value)) throw complain(`the number ${value} is beyond 2⁵³`);
        stack.push(value);
        break;
      }
      case BINUNICODE: {
        const length = view.getUint32(take(4), true);
        stack.push(text(take(length), position));
        break;
      }
      case EMPTY_TUPLE: stack.push([]); break;
      case TUPLE: stack.push(popMark()); break;
      case TUPLE1: case TUPLE2: case TUPLE3: stack.push(tuple(opcode - TUPLE1 + 1)); break;
      case EMPTY_DICT: stack.push(new Map()); break;
      case SETITEM: stack.push(setItems(tuple(2))); break;
      case SETITEMS: stack.push(setItems(popMark())); break;
      case BINPUT: put(bytes[take(1)]!); break;
      case LONG_BINPUT: put(view.getUint32(take(4), true)); break;
      case BINGET: stack.push(get(bytes[take(1)]!)); break;
      case LONG_BINGET: stack.push(get(view.getUint32(take(4), true))); break;
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
        dict(pop());
        stack.push(dict(pop()));
        break;
      default: throw complain(`opcode ${opcodeName(opcode)} is not one that a checkpoint needs`);
    }
    if (stack.length + marks.length > MAX_STACK) throw complain(`stacks more than ${MAX_STACK} values`);
  }
  throw complain(`takes more than ${MAX_OPCODES} steps`);
}

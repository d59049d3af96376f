import { nameBytes, sectionBytes, TYPE_CODES, unsignedLeb, vectorBytes, type ValueType } from './encode.js';
import { i32, type Expr, type I32, type I32Operand, type Statement } from './instructions.js';

/** A parameter or local variable; as an expression it is its value. */
export interface Local<T extends ValueType> extends Expr<T> {
  readonly index: number;
}

/** Parameters by name, in order. */
export type Parameters = Readonly<Record<string, ValueType>>;
export type ParameterLocals<P extends Parameters> = { readonly [N in keyof P]: Local<P[N]> };

/** A function of the module: `call` is a statement, or an expression if it has a result. */
export interface Func {
  readonly index: number;
  /** Arguments in the order of the parameters; numbers are i32. */
  call(...args: readonly (Expr<ValueType> | number)[]): Statement;
}

/** So many locals, which may be taken apart; an array where the compiler does not know how many. */
type Locals<T extends ValueType, Count extends number, Found extends Local<T>[] = []> =
  number extends Count ? readonly Local<T>[] : Found['length'] extends Count ? Readonly<Found> : Locals<T, Count, [...Found, Local<T>]>;

/** What is written into a function body, statement by statement. */
export interface Body {
  local<T extends ValueType>(type: T, value?: Expr<T>): Local<T>;
  /** `count` of them. */
  locals<T extends ValueType, Count extends number>(type: T, count: Count): Locals<T, Count>;
  set<T extends ValueType>(local: Local<T>, value: Expr<T>): void;
  run(statement: Statement): void;
  /** local += value */
  increase(local: Local<'i32'>, value: I32Operand): void;
  if(condition: I32, then: () => void, otherwise?: () => void): void;
  /** Runs `body` until `condition`, looked at after each round, is 0. */
  doWhile(body: () => void, condition: () => I32): void;
  while(condition: I32, body: () => void): void;
  /** Runs `body` with i = from, from + step, … while i < end (unsigned). */
  for(i: Local<'i32'>, from: I32Operand, end: I32Operand, step: I32Operand, body: () => void): void;
  /** Leaves the function. */
  return(): void;
}

export interface ModuleOptions {
  /** Whether the imported memory (`env.memory`) is shared between threads. */
  readonly sharedMemory: boolean;
}

const VOID = 0x40;
const MAX_PAGES = 65536;

/** A WebAssembly module under construction: functions on one imported memory. */
export interface ModuleBuilder {
  /** Adds a function without result and exports it under its name. */
  func<P extends Parameters>(name: string, parameters: P, write: (body: Body, parameters: ParameterLocals<P>) => void): Func;
  /** Adds a function whose last statement leaves an expression: its result. */
  funcWithResult<P extends Parameters, R extends ValueType>(
    name: string, parameters: P, result: R, write: (body: Body, parameters: ParameterLocals<P>) => Expr<R>,
  ): Func & { value(...args: readonly (Expr<ValueType> | number)[]): Expr<R> };
  encode(): Uint8Array<ArrayBuffer>;
}

export function createModule(options: ModuleOptions): ModuleBuilder {
  const types: number[][] = [];
  const functions: { name: string; code: number[] }[] = [];

  function add<P extends Parameters>(
    name: string, parameters: P, result: ValueType | undefined,
    write: (body: Body, parameters: ParameterLocals<P>) => Expr<ValueType> | void,
  ): Func {
    const index = functions.length;
    const kinds = Object.values(parameters);
    types.push([0x60, ...vectorBytes(kinds.map((type) => [TYPE_CODES[type]])), ...vectorBytes(result ? [[TYPE_CODES[result]]] : [])]);
    const entry = { name, code: [] as number[] };
    functions.push(entry);
    const locals: ValueType[] = [];
    const code: number[] = [];
    const body = createBody(code, (type) => kinds.length + locals.push(type) - 1);
    const named = Object.fromEntries(Object.entries(parameters).map(([key, type], n) => [key, localAt(type, n)]));
    const value = write(body, named as unknown as ParameterLocals<P>);
    if (value) code.push(...value.code);
    code.push(0x0b);
    entry.code = vectorBytes(locals.map((type) => [1, TYPE_CODES[type]])).concat(code);
    return { index, call: (...args) => ({ code: callCode(index, args) }) };
  }

  return {
    func: (name, parameters, write) => add(name, parameters, undefined, write),
    funcWithResult(name, parameters, result, write) {
      const func = add(name, parameters, result, write);
      return { ...func, value: (...args) => ({ type: result, code: callCode(func.index, args) }) };
    },
    encode() {
      const limits = options.sharedMemory ? [3, 1, ...unsignedLeb(MAX_PAGES)] : [0, 1];
      return new Uint8Array([
        ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
        ...sectionBytes(1, vectorBytes(types)),
        ...sectionBytes(2, vectorBytes([[...nameBytes('env'), ...nameBytes('memory'), 2, ...limits]])),
        ...sectionBytes(3, vectorBytes(functions.map((_, n) => unsignedLeb(n)))),
        ...sectionBytes(7, vectorBytes(functions.map(({ name }, n) => [...nameBytes(name), 0, ...unsignedLeb(n)]))),
        ...sectionBytes(10, vectorBytes(functions.map(({ code }) => unsignedLeb(code.length).concat(code)))),
      ]);
    },
  };
}

function localAt<T extends ValueType>(type: T, index: number): Local<T> {
  return { type, index, code: [0x20, ...unsignedLeb(index)] };
}

function callCode(index: number, args: readonly (Expr<ValueType> | number)[]): number[] {
  const operands = args.map((arg) => (typeof arg === 'number' ? i32.const(arg) : arg).code);
  return new Array<number>().concat(...operands, [0x10, ...unsignedLeb(index)]);
}

function createBody(code: number[], declare: (type: ValueType) => number): Body {
  const emit = (...bytes: readonly number[]): void => {
    for (const byte of bytes) code.push(byte);
  };
  const body: Body = {
    locals: (type, count) => Array.from({ length: count }, () => body.local(type)) as never,
    local(type, value) {
      const local = localAt(type, declare(type));
      if (value) body.set(local, value);
      return local;
    },
    set(local, value) {
      emit(...value.code, 0x21, ...unsignedLeb(local.index));
    },
    run: (statement) => emit(...statement.code),
    increase: (local, value) => body.set(local, i32.add(local, value)),
    if(condition, then, otherwise) {
      emit(...condition.code, 0x04, VOID);
      then();
      if (otherwise) {
        emit(0x05);
        otherwise();
      }
      emit(0x0b);
    },
    doWhile(round, condition) {
      emit(0x03, VOID);
      round();
      emit(...condition().code, 0x0d, 0, 0x0b);
    },
    while(condition, round) {
      body.if(condition, () => body.doWhile(round, () => condition));
    },
    for(i, from, end, step, round) {
      body.set(i, typeof from === 'number' ? i32.const(from) : from);
      body.while(i32.ltU(i, end), () => {
        round();
        body.increase(i, step);
      });
    },
    return: () => emit(0x0f),
  };
  return body;
}

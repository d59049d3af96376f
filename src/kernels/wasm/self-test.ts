import { ternaryRowBytes } from '../../formats/ternary-blocks.js';
import { encodeTernaryRow } from '../../formats/ternary-encoder.js';
import type { Arena } from '../arena.js';
import type { Kernels, TernaryBlockType, TernaryMatrix } from '../kernels.js';
import { createScalarKernels, type ScalarOptions } from '../scalar/scalar.js';
import type { ELEMENTWISE_PARAMETERS } from './elementwise.js';
import { kernelParameters } from './emit.js';
import { CONTROL } from './jobs.js';
import { COLUMN_BLOCK } from './layout.js';
import type { ThreadPool } from './threads.js';
import { kernelsOn, type WasmKernelsOptions } from './wasm.js';

/*
 * Every kernel of a module on a small problem, compared with the scalar backend bit for bit, before the module is used: V8's baseline
 * compiler computes some instructions wrongly on x86 without AVX, and others may err elsewhere. A new kernel gets an entry in CHECKS;
 * test/kernels/self-test.test.ts spoils each function of the modules in turn, and asks that it is noticed.
 *
 * This runs the code that the engine has first: in V8 and Firefox, the baseline compiler's. When the optimised code takes over cannot be
 * told or waited for from here, and calling every function until then would take longer than loading a model. For that code the suite
 * answers: it asks for the same bits of both tiers of V8, with AVX and without (test/kernels/engines.full.test.ts).
 */

export type Check = (test: Test) => boolean;

/** Further checks of a module, and what they compare with. */
export interface MoreChecks {
  readonly checks: Readonly<Record<string, Check>>;
  readonly createScalarTransformer: NonNullable<ScalarOptions['transformer']>;
}

interface Test {
  readonly kernels: Kernels;
  readonly arena: Arena;
  readonly scalar: Kernels;
  readonly scalarArena: Arena;
  readonly pool: LonelyPool;
  /** Two row blocks, and rows left over by loops of four; two column blocks, the second with a group that is not full. Tokens for the widest tile. */
  readonly large: Product;
  /** Few rows, and tokens for two tiles of sixteen, and a third that is not full. */
  readonly small: Product;
}

interface Product {
  /** [rows][columns] -1, 0 or 1, packed by `packRow`. */
  readonly trits: readonly Int8Array[];
  readonly matrix: TernaryMatrix;
  readonly q: Int8Array;
  readonly qScales: Float32Array;
  /** [tokens, rows] */
  readonly expected: Float32Array;
}

const ARENA_BYTES = 1 << 18;
/** With what `MoreChecks` take. */
const MORE_ARENA_BYTES = 1 << 21;
/** Loops go by 24, 16, eight, four and one of these, or of a quarter of them. */
const WIDTH = 111;
const TOKENS = 12;
const COUNT = TOKENS * WIDTH;
const EPS = 0.1;

type KernelName = keyof typeof ELEMENTWISE_PARAMETERS | 'ternaryRows' | 'ternaryPair' | 'ternaryTile8' | 'ternaryTile16' | 'ternaryTile32' | 'packBlocks';

const CHECKS: Readonly<Record<KernelName, Check>> = {
  ternaryRows: (test) => multipliesRightly(test, test.large, 3) && multipliesRightly(test, test.large, 1, 3),
  ternaryPair: (test) => multipliesRightly(test, test.large, 2, 2) && multipliesRightly(test, test.large, 2, 3),
  ternaryTile8: (test) => multipliesRightly(test, test.large, 8) && multipliesRightly(test, test.small, 5),
  ternaryTile16: (test) => multipliesRightly(test, test.large, 16) && multipliesRightly(test, test.small, 43),
  ternaryTile32: (test) => multipliesRightly(test, test.large, 32) && multipliesRightly(test, test.small, 43),
  packBlocks: (test) => packsRightly(test, test.large, 'TQ2_0') && packsRightly(test, test.small, 'TQ1_0'),
  rmsNorm: likeScalar((kernels, { f32 }, floats) => {
    const out = f32(COUNT);
    kernels.rmsNorm(floats(COUNT, 4), floats(WIDTH), EPS, TOKENS, out);
    return [out];
  }),
  rmsNormQuantize: likeScalar((kernels, { f32, i8 }, floats) => {
    const [x, weight, q, qScales] = [floats(COUNT, 4), floats(WIDTH), i8(COUNT), f32(TOKENS)];
    // The largest of a token, where another loop or lane finds it. In tokens 0, 3, 6 and 9 there are larger ones: large numbers by large weights.
    [[1, 2], [2, 5], [4, 8], [5, 15], [7, 17], [8, 45], [10, 99], [11, 109]].forEach(([t, at]) => { x[t! * WIDTH + at!] = 100 / weight[at!]!; });
    kernels.rmsNormQuantize(x, weight, EPS, TOKENS, q, qScales);
    return [q, qScales];
  }),
  mlgruRecurrence: likeScalar((kernels, { f32, u32 }, floats) => {
    const [i, f, state, h, h2, lengths] = [floats(COUNT, 8), floats(COUNT, 8), floats(2 * WIDTH), f32(COUNT), f32(COUNT), u32(2)];
    lengths.set([TOKENS - 1, 1]);
    kernels.mlgruRecurrence(i, f, undefined, state.subarray(0, WIDTH), TOKENS, h);
    kernels.mlgruRecurrence(i, f, floats(WIDTH), state, TOKENS, h2, lengths);
    return [h, h2, state];
  }),
  gatedRmsNorm: likeScalar((kernels, { f32 }, floats) => {
    const out = f32(COUNT);
    kernels.gatedRmsNorm(floats(COUNT, 4), floats(WIDTH), EPS, floats(COUNT, 8), TOKENS, out);
    return [out];
  }),
  swiglu: likeScalar((kernels, { f32 }, floats) => {
    const out = f32(COUNT);
    kernels.swiglu(floats(2 * COUNT, 8), WIDTH, TOKENS, out);
    return [out];
  }),
  add: likeScalar((kernels, _, floats) => {
    const r = floats(COUNT);
    kernels.add(r, floats(COUNT), COUNT);
    return [r];
  }),
};

/**
 * Why the module must not be used: a kernel that gives other results than it should, or traps. Undefined if there is none.
 * @throws BackendError when there is no memory for the test.
 */
export function findFault(options: WasmKernelsOptions, more?: MoreChecks): string | undefined {
  const test = createTest(options, more);
  const passes = (check: Check): boolean => {
    try {
      return check(test);
    } catch {
      return false;
    }
  };
  const checks = { ...CHECKS, ...more?.checks, ...(options.shared && { worker: worksAsThread }) };
  const kernels = { ...kernelParameters(options.products, options.transformer), worker: {} };
  const wrong = Object.entries(checks).find(([name, check]) => name in kernels && !passes(check));
  return wrong && `this engine's WebAssembly gives wrong results (in a test before use: ${wrong[0]})`;
}

function createTest(options: WasmKernelsOptions, more: MoreChecks | undefined): Test {
  const pool = createLonelyPool();
  const kernels = kernelsOn({ ...options, pool, shareAll: true });
  const scalar = createScalarKernels({ transformer: more?.createScalarTransformer });
  const arenaBytes = more ? MORE_ARENA_BYTES : ARENA_BYTES;
  const arena = kernels.createArena(arenaBytes);
  const next = createNumbers();
  const product = (rows: number, columns: number, tokens: number): Product => {
    const matrix = kernels.createTernary(arena, rows, columns);
    const [q, qScales, expected] = [arena.i8(tokens * columns), arena.f32(tokens), new Float32Array(tokens * rows)];
    for (let i = 0; i < q.length; i++) q[i] = Math.round(127 * next());
    q.fill(127, 0, columns);
    q.fill(-127, 3 * columns, 4 * columns);
    for (let c = 0; c < columns; c++) q[columns + c] = 5 + (c & 1); // sums of which lookup.ts keeps the most in the lower half
    for (let t = 0; t < tokens; t++) qScales[t] = next();
    const trits = Array.from({ length: rows }, (_, r) => {
      // Every fifth row is all 1, every fifth all -1: the largest sums that there are.
      const row = new Int8Array(columns).fill(r % 5 === 0 ? 1 : -1);
      if (r % 5 > 1) for (let c = 0; c < columns; c++) row[c] = Math.round(1.5 * next());
      matrix.scales[r] = next();
      kernels.packRow(matrix, r, row);
      // As Kernels.ternaryMatmul is defined: the scalar backend would take longer, to pack so few rows.
      for (let t = 0; t < tokens; t++) expected[t * rows + r] = dotProduct(row, q, t * columns) * Math.fround(matrix.scales[r]! * qScales[t]!);
      return row;
    });
    return { trits, matrix, q, qScales, expected };
  };
  return {
    kernels, arena, scalar, scalarArena: scalar.createArena(arenaBytes), pool,
    large: product(35, COLUMN_BLOCK + 20, 32), small: product(3, COLUMN_BLOCK + 16, 43),
  };
}

function dotProduct(row: Int8Array, q: Int8Array, start: number): number {
  let sum = 0;
  for (let c = 0; c < row.length; c++) sum += row[c]! * q[start + c]!;
  return sum;
}

function multipliesRightly({ kernels, arena }: Test, { matrix, q, qScales, expected }: Product, tokens: number, first = 0): boolean {
  const out = arena.f32(tokens * matrix.rows);
  kernels.ternaryMatmul(matrix, q.subarray(first * matrix.columns), qScales.subarray(first), tokens, out);
  return sameBytes(out, expected.subarray(first * matrix.rows, first * matrix.rows + out.length));
}

/** Blocks come to the bytes of `packRow`, and those that are not plain are refused (Kernels.packBlocks). */
function packsRightly({ kernels, arena }: Test, { trits, matrix: { rows, columns, packed } }: Product, type: TernaryBlockType): boolean {
  const padded = new Int8Array(Math.ceil(columns / COLUMN_BLOCK) * COLUMN_BLOCK);
  const [blockBytes, rowBytes] = [ternaryRowBytes(type, COLUMN_BLOCK), ternaryRowBytes(type, padded.length)];
  const blocks = new Uint8Array(rows * rowBytes);
  let zeros = 0;
  trits.forEach((row, r) => {
    padded.set(row);
    encodeTernaryRow(type, padded, blocks, r * rowBytes);
    for (let c = 0; c < columns; c++) if (row[c] === 0) zeros++;
  });
  const matrix = kernels.createTernary(arena, rows, columns);
  const pack = (...changes: (readonly [at: number, byte: number])[]): number => {
    const bytes = blocks.slice();
    for (const [at, byte] of changes) bytes[at] = byte;
    return kernels.packBlocks!(matrix, 0, rows, type, bytes);
  };
  if (pack() !== zeros || !sameBytes(matrix.packed, packed)) return false;
  const scaleEnd = blockBytes - 1; // the upper byte of a float16
  const refused = [
    pack([scaleEnd, 0], [scaleEnd + blockBytes, 0]), pack([scaleEnd, 0x7c], [scaleEnd + blockBytes, 0x7c]), pack([scaleEnd, 0]),
    pack([blockBytes + 31, 0]), // a weight beyond the last column
    type === 'TQ2_0' ? pack([0, 3]) : -1, // a code that no weight has
  ];
  return refused.every((result) => result === -1);
}

/** A check that what `run` returns is the same on the scalar backend; it gets the same `floats` there: of ±size, every ninth 16 times as large. */
export function likeScalar(run: (kernels: Kernels, arena: Arena, floats: (length: number, size?: number) => Float32Array) => readonly ArrayBufferView[]): Check {
  return ({ kernels, arena, scalar, scalarArena }) => {
    const [found, expected] = [[kernels, arena] as const, [scalar, scalarArena] as const].map(([each, memory]) => {
      const next = createNumbers();
      return run(each, memory, (length, size = 1) => {
        const array = memory.f32(length);
        for (let i = 0; i < length; i++) array[i] = next() * (i % 9 === 8 ? 16 * size : size);
        return array;
      });
    });
    return found!.every((view, n) => sameBytes(view, expected![n]!));
  };
}

/** The function that other threads run, on an instance of its own as they have it, does the last job once more. */
function worksAsThread(test: Test): boolean {
  return likeScalar((kernels, _, floats) => {
    const [r, x] = [floats(COUNT), floats(COUNT)];
    kernels.add(r, x, COUNT);
    if (kernels === test.kernels) test.pool.repeatJob();
    else kernels.add(r, x, COUNT);
    return [r];
  })(test);
}

interface LonelyPool extends ThreadPool {
  repeatJob(): void;
}

/** One other thread, which leaves all chunks of a job to the main one. */
function createLonelyPool(): LonelyPool {
  let started: Parameters<ThreadPool['start']> | undefined;
  return {
    size: 1,
    start: (...args) => { started = args; },
    check() {},
    wait() { throw new Error('chunks are left'); },
    endWith() {},
    dispose() {},
    repeatJob() {
      const [module, memory] = started!;
      const { worker } = new WebAssembly.Instance(module, { env: { memory } }).exports as { worker(thread: number, spins: number): void };
      const words = new Int32Array(memory.buffer, 0, CONTROL.end / 4);
      words[CONTROL.finished / 4] = 0;
      words[CONTROL.claim / 4] = words[CONTROL.chunks / 4]! << 16;
      words[CONTROL.jobNumber / 4]! += 1;
      words[CONTROL.stop / 4] = 1; // so that it comes back
      worker(1, 1);
    },
  };
}

export function sameBytes(a: ArrayBufferView, b: ArrayBufferView): boolean {
  const [left, right] = [a, b].map(({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength));
  for (let n = 0; n < left!.length; n++) if (left![n] !== right![n]) return false;
  return true;
}

/** Marsaglia's xorshift, always from the same start: numbers from -1 up to 1. */
function createNumbers(): () => number {
  let state = 0x9e3779b9;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state / 2 ** 31;
  };
}

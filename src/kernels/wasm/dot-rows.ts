import { f32x4, i32, i32x4, i8x16, memory, v128, type I32, type V128 } from '../../wasm/instructions.js';
import type { Body, Func, Local, ModuleBuilder, ParameterLocals } from '../../wasm/module.js';
import { DOT_QUAD_BYTES, ROW_GROUP } from './dot-layout.js';
import { UNITS, WORK_BYTES } from './jobs.js';
import { COLUMN_GROUP } from './layout.js';
import { splatByte, ZERO } from './vectors.js';

/*
 * Ternary products for one token or a few, by the dot products of relaxed SIMD: four products of activations and codes, and their sum, in each
 * of four lanes. So this one multiplies. An engine that makes one instruction of it (`vpdpbusd`) needs 8 vector operations for 64 weights,
 * look-ups 12.5; without that it is slower than look-ups, so a probe decides (probe.ts).
 *
 * With C0 … C3 = Σ c·x of the rows of a byte's codes c = weight + 1 (dot-layout.ts), and X = Σ x, over all columns:
 *
 *     A1 = Σ x·(w & 0x0c) = 4·C1       A2 = Σ x·(w & 0x30) = 16·C2       h = (w + 12 + 1) >> 1 = 6 + c0 + 2·c1 + 8·c2 + 32·c3
 *     A0 = Σ x·h                       A3 = Σ x·(h & 0x60) = 32·C3       since 6 + c0 + 2·c1 + 8·c2 ≤ 28
 *     C0 = A0 - 6·X - (A1 + A2) / 2 - A3; and the sum of a row is C - X
 *
 * h ≤ 92 is within the 7 bits that are defined alike everywhere, and sums of two products (≤ 23,368) within 16, which some machines go
 * through: all machines compute the same. |A| ≤ 127 · 92 · columns < 2³¹.
 *
 * Two row groups at a time, one from each half of the rows, far from each other: the memory of AMD Zen 5 gives 36–39 GB/s to two such
 * streams, 30–33 to one. bench/README.md has figures, and what did worse.
 */

export const DOT_ARGUMENTS = {
  packed: 'i32', rows: 'i32', columns: 'i32', q: 'i32', tokens: 'i32', scales: 'i32', qScales: 'i32', out: 'i32',
  next: 'i32', nextGroups: 'i32', nextColumns: 'i32', nextShare: 'i32', share: 'i32',
} as const;
export const DOT_PARAMETERS = { ...DOT_ARGUMENTS, ...UNITS } as const;
type RowsParameters = ParameterLocals<typeof DOT_PARAMETERS>;

const CACHE_LINE = 64;
/** So much of both streams is touched before they begin, a line of each in turn: 2 to 4 % on 1024×1024. */
export const TOUCHED_BYTES = 1024;
/** So much of the streams of the next matrix is, while a thread has nothing else to do. */
const NEXT_TOUCHED_BYTES = 4096;

/** Tokens of a call, at most. */
export const MAX_DOT_TOKENS = 7;

/** In the work space: results of a group that not all belong to the matrix, or that grow; a word nobody reads; X of all groups; activations of padded width. */
export const RESULTS = 0;
const TOUCHED = 4 * ROW_GROUP * 4;
const SUMS = 1024;
const ACTIVATIONS = WORK_BYTES / 2;

/** Sums of row groups for activations, on variables of their own. */
export interface Dots {
  /** [stream][token][4] */
  readonly sums: readonly (readonly (readonly Local<'v128'>[])[])[];
  /** Adds up the quads of the weights at `weights` and the activations at `q`, up to `end` of the first token; all move on. */
  add(weights: readonly Local<'i32'>[], q: readonly Local<'i32'>[], end: Local<'i32'>): void;
  /** Turns sums into those of rows 0–3, 4–7, 8–11, 12–15 of each stream, given X of a token. */
  finish(stream: number, token: number, x: V128): readonly Local<'v128'>[];
}

export function createDots(b: Body, streams: number, tokens: number): Dots {
  const sums = Array.from({ length: streams }, () => Array.from({ length: tokens }, () => b.locals('v128', 4)));
  const [second, third, fourth] = [b.local('v128', splatByte(0x0c)), b.local('v128', splatByte(0x30)), b.local('v128', splatByte(0x60))] as const;
  const [w, codes, X] = b.locals('v128', 3);
  const x = b.locals('v128', tokens);
  return {
    sums,
    add(weights, q, end) {
      for (const sum of sums.flat(2)) b.set(sum, ZERO);
      b.doWhile(() => {
        x.forEach((value, t) => b.set(value, v128.load32Splat(q[t]!)));
        weights.forEach((at, stream) => {
          const add = (field: number, value: V128): void => {
            b.set(codes, value);
            x.forEach((token, t) => b.set(sums[stream]![t]![field]!, i32x4.relaxedDotAdd(token, codes, sums[stream]![t]![field]!)));
          };
          b.set(w, v128.load(at));
          add(1, v128.and(w, second));
          add(2, v128.and(w, third));
          b.set(w, i8x16.avgrU(w, second));
          add(0, w);
          add(3, v128.and(w, fourth));
        });
        for (const at of weights) b.increase(at, DOT_QUAD_BYTES);
        for (const at of q) b.increase(at, 4);
      }, () => i32.ltU(q[0]!, end));
    },
    finish(stream, token, value) {
      const [a0, a1, a2, a3] = sums[stream]![token] as [Local<'v128'>, Local<'v128'>, Local<'v128'>, Local<'v128'>];
      b.set(X, value);
      const sevenX = i32x4.sub(i32x4.shl(X, 3), X);
      b.set(a0, i32x4.sub(i32x4.sub(a0, sevenX), i32x4.add(i32x4.shrS(i32x4.add(a1, a2), 1), a3)));
      ([[a1, 2], [a2, 4], [a3, 5]] as const).forEach(([sum, bits]) => b.set(sum, i32x4.sub(i32x4.shrS(sum, bits), X)));
      return [a0, a1, a2, a3];
    },
  };
}

/** What all products for a few tokens do first, and where they find it. */
export interface Prepared {
  /** Padded columns: bytes of activations from one token to the next, and of a quad's row group in all. */
  readonly width: Local<'i32'>;
  /** Bytes of activations from one token to the next. */
  readonly stride: Local<'i32'>;
  readonly q: Local<'i32'>;
  readonly groupBytes: Local<'i32'>;
  /** X of each token and group of columns, 16 bytes. */
  readonly sums: I32;
}

/** sumUp(q, width, group, to): X of each group of columns, in four lanes. */
function emitSumUp(module: ModuleBuilder): Func {
  return module.func('sumUp', { q: 'i32', width: 'i32', group: 'i32', to: 'i32' }, (b, { q, width, group, to }) => {
    const [end, groupEnd, ones, sums] = [b.local('i32', i32.add(q, width)), b.local('i32'), b.local('v128', splatByte(1)), b.local('v128')] as const;
    const x = b.local('v128');
    b.doWhile(() => {
      b.set(sums, ZERO);
      b.set(groupEnd, i32.minU(i32.add(q, group), end));
      b.doWhile(() => {
        b.set(x, v128.load(q));
        b.set(sums, i32x4.relaxedDotAdd(x, ones, sums));
        b.increase(q, COLUMN_GROUP);
      }, () => i32.ltU(q, groupEnd));
      const lanes = [0, 1, 2, 3].map((lane) => i32x4.extractLane(sums, lane));
      b.run(v128.store(to, i32x4.splat(lanes.reduce((sum, lane) => i32.add(sum, lane)))));
      b.increase(to, 16);
    }, () => i32.ltU(q, end));
  });
}

export function prepare(b: Body, p: RowsParameters, sumUp: Func, group: Local<'i32'> | undefined): Prepared {
  const width = b.local('i32', i32.and(i32.add(p.columns, COLUMN_GROUP - 1), -COLUMN_GROUP));
  const [q, t, to, stride] = [b.local('i32', p.q), b.local('i32'), b.local('i32'), b.local('i32', p.columns)] as const;
  // What lies behind the last column would count in X as in the sums, but may change in between.
  b.if(i32.ne(width, p.columns), () => {
    b.set(q, i32.add(p.work, ACTIVATIONS));
    b.run(memory.fill(q, 0, i32.mul(width, p.tokens)));
    b.for(t, 0, p.tokens, 1, () => b.run(memory.copy(i32.add(q, i32.mul(t, width)), i32.add(p.q, i32.mul(t, p.columns)), p.columns)));
    b.set(stride, width);
  });
  const sums = i32.add(p.work, SUMS);
  const groups = group ? groupsOf(p.columns, group) : i32.const(1);
  b.set(to, sums);
  b.for(t, 0, p.tokens, 1, () => {
    b.run(sumUp.call(i32.add(q, i32.mul(t, stride)), width, group ?? width, to));
    b.increase(to, i32.shl(groups, 4));
  });
  return { width, stride, q, groupBytes: b.local('i32', i32.shl(width, 2)), sums };
}

/** Groups of columns of a matrix. */
export function groupsOf(columns: I32, group: I32): I32 {
  return i32.divU(i32.sub(i32.add(columns, group), 1), group);
}

/** What products for a few tokens call. */
export interface DotFunctions {
  readonly sumUp: Func;
  readonly touch: Func;
}

export function emitDotFunctions(module: ModuleBuilder): DotFunctions {
  return { sumUp: emitSumUp(module), touch: emitTouch(module) };
}

/** touchStreams(a, b, length, work): loads `length` bytes of both, a line of each in turn, up to a page beyond the arena. */
function emitTouch(module: ModuleBuilder): Func {
  return module.func('touchStreams', { a: 'i32', b: 'i32', length: 'i32', work: 'i32' }, (b, p) => {
    const [end, touched] = [b.local('i32', i32.add(p.a, p.length)), b.local('v128', ZERO)] as const;
    b.doWhile(() => {
      for (let n = 0; n < 4; n++) for (const stream of [p.a, p.b]) b.set(touched, v128.or(touched, v128.load(stream, n * CACHE_LINE)));
      for (const stream of [p.a, p.b]) b.increase(stream, 4 * CACHE_LINE);
    }, () => i32.ltU(p.a, end));
    b.run(v128.store(p.work, touched, TOUCHED)); // so that the loads are not dropped
  });
}

/** Of `share` row groups from `first` on, as many as there are: how many each of the two streams has. */
export function halfOf(first: I32, last: I32): I32 {
  return i32.shrU(i32.add(i32.sub(last, first), 1), 1);
}

/** Touches what the thread will have of the product that is expected next. */
export function touchNext(b: Body, p: RowsParameters, touch: Func): void {
  b.if(p.next, () => {
    const first = b.local('i32', i32.mul(i32.divU(p.first, p.share), p.nextShare));
    b.if(i32.ltU(first, p.nextGroups), () => {
      const last = b.local('i32', i32.minU(i32.add(first, p.nextShare), p.nextGroups));
      const groupBytes = b.local('i32', i32.shl(p.nextColumns, 2));
      const other = i32.sub(last, halfOf(first, last));
      const [a, c] = [first, other].map((group) => i32.add(p.next, i32.mul(group, groupBytes)));
      b.run(touch.call(a!, c!, NEXT_TOUCHED_BYTES, p.work));
    });
  });
}

/** Writes four vectors of results of row group `group` for a token: what is beyond the last row does not get there. */
export function writeGroup(b: Body, p: RowsParameters, token: I32, group: Local<'i32'>, results: readonly V128[]): void {
  const [out, to] = b.locals('i32', 2);
  const row = i32.shl(group, 4);
  b.set(out, i32.add(p.out, i32.shl(i32.add(i32.mul(token, p.rows), row), 2)));
  const left = i32.sub(p.rows, row);
  b.set(to, i32.select(out, i32.add(p.work, RESULTS), i32.geU(left, ROW_GROUP)));
  results.forEach((values, n) => b.run(v128.store(to, values, 16 * n)));
  b.if(i32.ne(to, out), () => b.run(memory.copy(out, to, i32.shl(left, 2))));
}

const scaled = (sums: V128, scale: V128, qScale: V128): V128 => f32x4.mul(f32x4.convertI32x4S(sums), f32x4.mul(scale, qScale));

/**
 * ternaryRows: row groups first … last - 1 of out[t, r] = sum[t, r] · (scales[r] · qScales[t]); the tokens one after another for each pair of
 * groups, which is then in the caches.
 */
export function emitDotRows(module: ModuleBuilder, { sumUp, touch }: DotFunctions): Func {
  return module.func('ternaryRows', DOT_PARAMETERS, (b, p) => {
    const dots = createDots(b, 2, 1);
    const { stride, q, groupBytes, sums, width } = prepare(b, p, sumUp, undefined);
    const [n, t, at, end, sum] = [b.local('i32', halfOf(p.first, p.last)), b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32')] as const;
    const group = [b.local('i32', p.first), b.local('i32', i32.sub(p.last, n))]; // of an odd number, one is done twice
    const streams = group.map((first) => b.local('i32', i32.add(p.packed, i32.mul(first, groupBytes))));
    const weights = streams.map(() => b.local('i32'));
    const qScale = b.local('v128');
    b.run(touch.call(streams[0]!, streams[1]!, i32.minU(TOUCHED_BYTES, groupBytes), p.work));
    b.doWhile(() => {
      b.set(sum, sums);
      b.for(t, 0, p.tokens, 1, () => {
        b.set(at, i32.add(q, i32.mul(t, stride)));
        b.set(end, i32.add(at, width));
        weights.forEach((pointer, s) => b.set(pointer, streams[s]!));
        dots.add(weights, [at], end);
        b.set(qScale, v128.load32Splat(i32.add(p.qScales, i32.shl(t, 2))));
        group.forEach((g, s) => {
          const scales = b.local('i32', i32.add(p.scales, i32.shl(g, 6)));
          writeGroup(b, p, t, g, dots.finish(s, 0, v128.load(sum)).map((rows, f) => scaled(rows, v128.load(scales, 16 * f), qScale)));
        });
        b.increase(sum, 16);
      });
      for (const pointer of streams) b.increase(pointer, groupBytes);
      for (const g of group) b.increase(g, 1);
      b.increase(n, -1);
    }, () => n);
    touchNext(b, p, touch);
  });
}

/** ternaryPair: the same for two tokens at once: a row group would be out of the prefetchers' sight when it is read again for the second. */
export function emitDotPair(module: ModuleBuilder, { sumUp, touch }: DotFunctions): Func {
  return module.func('ternaryPair', DOT_PARAMETERS, (b, p) => {
    const dots = createDots(b, 1, 2);
    const { stride, q, groupBytes, sums, width } = prepare(b, p, sumUp, undefined);
    const [group, end] = b.locals('i32', 2);
    const weights = b.local('i32', i32.add(p.packed, i32.mul(p.first, groupBytes)));
    const at = b.locals('i32', 2);
    const qScales = [0, 4].map((offset) => b.local('v128', v128.load32Splat(p.qScales, offset)));
    b.for(group, p.first, p.last, 1, () => {
      b.set(at[0], q);
      b.set(at[1], i32.add(q, stride));
      b.set(end, i32.add(q, width));
      dots.add([weights], at, end);
      const scales = b.local('i32', i32.add(p.scales, i32.shl(group, 6)));
      qScales.forEach((qScale, t) => writeGroup(
        b, p, i32.const(t), group, dots.finish(0, t, v128.load(sums, 16 * t)).map((rows, f) => scaled(rows, v128.load(scales, 16 * f), qScale)),
      ));
    });
    touchNext(b, p, touch);
  });
}

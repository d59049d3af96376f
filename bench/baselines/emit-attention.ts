import { f32, f32x4, i32, memory, v128, type F32, type I32, type V128 } from '../../src/wasm/instructions.js';
import type { Body, Func, Local, ModuleBuilder } from '../../src/wasm/module.js';
import { createExps } from '../../src/kernels/wasm/exp.js';
import { splatF32 } from '../../src/kernels/wasm/vectors.js';
import { COLUMN_BYTES } from './emit-product.js';
import { PANEL } from './float-kernels.js';

/*
 * Attention in WebAssembly. Keys lie as [head][position / 16][channel][16 positions], values as [head][channel / 16][position][16
 * channels]: in panels, as weights do, so that scores and their mixture are panel products, and a decoded token reads keys
 * and values as streams.
 */

/** Queries that go through the keys together. */
export const QUERY_TILE = 16;

/**
 * Keys of a tile. With many queries, what is used again stays in the first-level cache; with one, memory is waited for, and
 * a panel's values should be a long stream.
 *
 * Measured on AMD EPYC (Zen 5), Node 20, 16 heads of 64 and of 128, 4096 positions, one thread. One query, GB/s of keys and values, of 31 that
 * reading alone takes: 128 keys 19 / 15; 512 22 / 21; 1024 22 / 24; 4096 (this) 25 / 27. 64 queries, GFLOP/s: 64 keys 36 / 39; 128 37 / 41;
 * 256 (this) 39 / 41.
 */
export const keyTile = (tokens: number): number => (tokens === 1 ? 4096 : 256);

/** The largest head: what is mixed so far is in the work space of a thread, before the scores. */
export const MAX_HEAD_SIZE = 512;
/** Where a unit keeps what, from the start of its work space: a maximum and a sum for each query, [query][channel] mixed, [query][key] scores. */
const WORK = { maxima: 0, sums: 4 * QUERY_TILE, mixed: 8 * QUERY_TILE, scores: 8 * QUERY_TILE + QUERY_TILE * MAX_HEAD_SIZE * 4 } as const;

const { add, sub, mul } = f32x4;

const lanes = (v: V128, combine: (a: F32, b: F32) => F32): F32 =>
  combine(combine(f32x4.extractLane(v, 0), f32x4.extractLane(v, 1)), combine(f32x4.extractLane(v, 2), f32x4.extractLane(v, 3)));

/**
 * carryOn(scores, visible, keys, scale, maximum, sum, mixed, size): the scores of one query, of which the first `visible` count, become
 * weights; the maximum and the sum of weights so far, at their addresses, and what is mixed so far are brought up to date.
 */
function emitCarryOn(module: ModuleBuilder): Func {
  const parameters = {
    scores: 'i32', visible: 'i32', keys: 'i32', scale: 'f32', maximum: 'i32', sum: 'i32', mixed: 'i32', size: 'i32',
  } as const;
  return module.func('carryOn', parameters, (b, p) => {
    const exps = createExps(b);
    const exp = (x: V128): V128 => exps([x])[0]!;
    const scales = b.local('v128', f32x4.splat(p.scale));
    const [at, end] = [b.local('i32'), b.local('i32', i32.add(p.scores, i32.shl(p.keys, 2)))] as const;
    const [vector, before, after] = [b.local('v128'), b.local('f32'), b.local('f32')] as const;
    b.for(at, i32.add(p.scores, i32.shl(p.visible, 2)), end, 4, () => b.run(f32.store(at, f32.const(-Infinity))));
    b.set(before, f32.load(p.maximum));
    b.set(vector, f32x4.splat(before));
    b.for(at, p.scores, end, 16, () => {
      b.run(v128.store(at, mul(v128.load(at), scales)));
      b.set(vector, f32x4.pmax(vector, v128.load(at)));
    });
    b.set(after, lanes(vector, f32.max));
    b.run(f32.store(p.maximum, after));
    const maxima = b.local('v128', f32x4.splat(after));
    b.set(vector, splatF32(0));
    b.for(at, p.scores, end, 16, () => {
      b.run(v128.store(at, exp(sub(v128.load(at), maxima))));
      b.set(vector, add(vector, v128.load(at)));
    });
    const correction = b.local('v128', exp(sub(f32x4.splat(before), maxima)));
    b.run(f32.store(p.sum, f32.add(f32.mul(f32.load(p.sum), f32x4.extractLane(correction, 0)), lanes(vector, f32.add))));
    b.for(at, p.mixed, i32.add(p.mixed, i32.shl(p.size, 2)), 16, () => b.run(v128.store(at, mul(v128.load(at), correction))));
  });
}

export const ATTENTION_PARAMETERS = {
  q: 'i32', keys: 'i32', values: 'i32', size: 'i32', capacity: 'i32', stride: 'i32', position: 'i32', tokens: 'i32', scale: 'f32', out: 'i32',
  tiles: 'i32', keyTile: 'i32', first: 'i32', last: 'i32', work: 'i32',
} as const;

/** attention: units are tiles of queries of one head, `tiles` of them a head. `stride` is bytes from one token to the next. */
export function emitAttention(module: ModuleBuilder, panelProduct: Func): Func {
  const carryOn = emitCarryOn(module);
  return module.func('attention', ATTENTION_PARAMETERS, (b, p) => {
    const [unit, head, firstQuery, queries, end] = [b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32')] as const;
    const [q, keys, values, out] = [b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32')] as const;
    const [key, count, n, visible, query] = [b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32')] as const;
    const headBytes = b.local('i32', i32.mul(i32.mul(p.capacity, p.size), 4));
    const sizeBytes = b.local('i32', i32.shl(p.size, 2));
    const scoreStride = b.local('i32', i32.shl(p.keyTile, 2));
    const [scores, mixed] = [b.local('i32', i32.add(p.work, WORK.scores)), b.local('i32', i32.add(p.work, WORK.mixed))] as const;
    const ofQuery = (base: number): I32 => i32.add(i32.add(p.work, base), i32.shl(query, 2));

    b.for(unit, p.first, p.last, 1, () => {
      b.set(head, i32.divU(unit, p.tiles));
      b.set(firstQuery, i32.mul(i32.sub(unit, i32.mul(head, p.tiles)), QUERY_TILE));
      b.set(queries, i32.minU(QUERY_TILE, i32.sub(p.tokens, firstQuery)));
      b.set(end, i32.add(i32.add(p.position, firstQuery), queries));
      b.set(q, i32.add(i32.add(p.q, i32.mul(firstQuery, p.stride)), i32.mul(head, sizeBytes)));
      b.set(out, i32.add(i32.add(p.out, i32.mul(firstQuery, p.stride)), i32.mul(head, sizeBytes)));
      b.set(keys, i32.add(p.keys, i32.mul(head, headBytes)));
      b.set(values, i32.add(p.values, i32.mul(head, headBytes)));
      b.run(memory.fill(mixed, 0, i32.mul(queries, sizeBytes)));
      b.for(query, 0, queries, 1, () => {
        b.run(f32.store(ofQuery(WORK.maxima), f32.const(-3e38)));
        b.run(f32.store(ofQuery(WORK.sums), f32.const(0)));
      });
      b.for(key, 0, end, p.keyTile, () => {
        b.set(count, i32.minU(p.keyTile, i32.sub(end, key)));
        b.for(n, 0, count, PANEL, () => {
          const panel = i32.add(keys, i32.mul(i32.add(key, n), sizeBytes));
          b.run(panelProduct.call(q, p.stride, panel, p.size, i32.add(scores, i32.shl(n, 2)), scoreStride, 0, queries));
        });
        b.for(query, 0, queries, 1, () => {
          // Of this tile, a query sees up to its own position: all, some, or (as a negative number) none.
          b.set(visible, i32.sub(i32.add(i32.add(p.position, firstQuery), i32.add(query, 1)), key));
          b.set(visible, i32.select(0, i32.minU(visible, count), i32.ltS(visible, 0)));
          b.run(carryOn.call(
            i32.add(scores, i32.mul(query, scoreStride)), visible, i32.and(i32.add(count, 3), -4), p.scale,
            ofQuery(WORK.maxima), ofQuery(WORK.sums), i32.add(mixed, i32.mul(query, sizeBytes)), p.size,
          ));
        });
        b.for(n, 0, p.size, PANEL, () => {
          const panel = i32.add(i32.add(values, i32.mul(i32.mul(n, p.capacity), 4)), i32.mul(key, COLUMN_BYTES));
          b.run(panelProduct.call(scores, scoreStride, panel, count, i32.add(mixed, i32.shl(n, 2)), sizeBytes, 1, queries));
        });
      });
      emitDivide(b, { query, queries, ofSum: () => ofQuery(WORK.sums), mixed, sizeBytes, out, stride: p.stride });
    });
  });
}

interface DivideLocals {
  readonly query: Local<'i32'>;
  readonly queries: I32;
  readonly ofSum: () => I32;
  readonly mixed: I32;
  readonly sizeBytes: I32;
  readonly out: I32;
  readonly stride: I32;
}

/** out = mixed / sum for each query. */
function emitDivide(b: Body, { query, queries, ofSum, mixed, sizeBytes, out, stride }: DivideLocals): void {
  const [from, to, end, sum] = [b.local('i32'), b.local('i32'), b.local('i32'), b.local('v128')] as const;
  b.for(query, 0, queries, 1, () => {
    b.set(sum, f32x4.splat(f32.load(ofSum())));
    b.set(to, i32.add(out, i32.mul(query, stride)));
    b.set(end, i32.add(i32.add(mixed, i32.mul(query, sizeBytes)), sizeBytes));
    b.for(from, i32.add(mixed, i32.mul(query, sizeBytes)), end, 16, () => {
      b.run(v128.store(to, f32x4.div(v128.load(from), sum)));
      b.increase(to, 16);
    });
  });
}

export const ROTATE_PARAMETERS = {
  x: 'i32', heads: 'i32', size: 'i32', angles: 'i32', first: 'i32', last: 'i32', work: 'i32',
} as const;

/** rotate: units are tokens. */
export function emitRotate(module: ModuleBuilder): Func {
  return module.func('rotate', ROTATE_PARAMETERS, (b, p) => {
    const [token, head, x, end, angles] = [b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32')] as const;
    const [low, high, cosine, sine] = [b.local('v128'), b.local('v128'), b.local('v128'), b.local('v128')] as const;
    const half = b.local('i32', i32.shl(p.size, 1)); // bytes
    b.set(x, i32.add(p.x, i32.mul(i32.mul(p.first, p.heads), i32.shl(p.size, 2))));
    b.for(token, p.first, p.last, 1, () => {
      b.for(head, 0, p.heads, 1, () => {
        b.set(angles, i32.add(p.angles, i32.mul(token, i32.shl(p.size, 2))));
        b.set(end, i32.add(x, half));
        b.while(i32.ltU(x, end), () => {
          b.set(low, v128.load(x));
          b.set(high, v128.load(i32.add(x, half)));
          b.set(cosine, v128.load(angles));
          b.set(sine, v128.load(i32.add(angles, half)));
          b.run(v128.store(x, sub(mul(low, cosine), mul(high, sine))));
          b.run(v128.store(i32.add(x, half), add(mul(high, cosine), mul(low, sine))));
          b.increase(x, 16);
          b.increase(angles, 16);
        });
        b.increase(x, half);
      });
    });
  });
}

export const STORE_PARAMETERS = {
  keysTo: 'i32', valuesTo: 'i32', size: 'i32', capacity: 'i32', stride: 'i32', keys: 'i32', values: 'i32', position: 'i32', tokens: 'i32',
  first: 'i32', last: 'i32', work: 'i32',
} as const;

/** store: units are heads. */
export function emitStore(module: ModuleBuilder): Func {
  return module.func('store', STORE_PARAMETERS, (b, p) => {
    const [head, token, position, channel, from] = [b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32')] as const;
    const [headStart, key, value] = [b.local('i32'), b.local('i32'), b.local('i32')] as const;
    b.for(head, p.first, p.last, 1, () => {
      b.set(headStart, i32.mul(i32.mul(head, p.capacity), i32.shl(p.size, 2)));
      b.for(token, 0, p.tokens, 1, () => {
        b.set(position, i32.add(p.position, token));
        b.set(from, i32.add(i32.mul(token, p.stride), i32.mul(head, i32.shl(p.size, 2))));
        const panelStart = i32.mul(i32.and(position, -PANEL), i32.shl(p.size, 2));
        b.set(key, i32.add(i32.add(i32.add(p.keysTo, headStart), panelStart), i32.shl(i32.and(position, PANEL - 1), 2)));
        b.set(value, i32.add(i32.add(p.valuesTo, headStart), i32.mul(position, COLUMN_BYTES)));
        b.for(channel, 0, p.size, PANEL, () => {
          for (let n = 0; n < PANEL; n++) b.run(f32.store(key, f32.load(i32.add(p.keys, from), 4 * n), n * COLUMN_BYTES));
          for (let n = 0; n < PANEL; n += 4) b.run(v128.store(value, v128.load(i32.add(p.values, from), 4 * n), 4 * n));
          b.increase(key, PANEL * COLUMN_BYTES);
          b.increase(value, i32.mul(p.capacity, COLUMN_BYTES));
          b.increase(from, PANEL * 4);
        });
      });
    });
  });
}

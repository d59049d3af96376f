import { f32x4, i32, v128, type I32, type V128 } from '../../src/wasm/instructions.js';
import type { Func, ModuleBuilder } from '../../src/wasm/module.js';
import { PANEL } from './float-kernels.js';

/*
 * The float32 product in WebAssembly. Weights lie in panels of 16 rows, [panel][column][row]: four vectors for each column, which follow
 * one another in memory, so that decoding reads weights as one stream and no sum has to be added up across lanes. Keys and
 * values lie in panels too, so attention is made of the same product.
 *
 * A tile is 4 tokens × 8 rows: 8 sums, 2 vectors of weights and 4 activations are in registers, and one column is a round of the loop.
 * Longer rounds make V8 in Node 20 load everything first and spill it, larger tiles spill in either:
 *
 * Measured on AMD EPYC (Zen 5), GFLOP/s in the first-level cache, Node 20 / 24, multiplication and addition | in one instruction, of 66 that the
 * processor can do: 4 tokens × 8 rows (this) 63 / 64 | 60 / 62; two columns a round 39 / 63 | 32 / 59; 5 × 8 49 / 64 | 40 / 62;
 * 6 × 8 34 / 34 | 48 / 69; 4 × 12 34 / 34 | 31 / 32; 3 × 12 44 / 65 | 63 / 65; 2 × 16 62 / 64 | 60 / 63; 1 × 16 54 / 46 | 34 / 34.
 */

/** Bytes of one column of a panel. */
export const COLUMN_BYTES = PANEL * 4;

/** Columns that many tokens go through at once: a panel of them (64 KB) and 64 tokens' activations stay in the second-level cache. */
const BLOCK_COLUMNS = 1024;

/** sum + a · b, rounded twice; or once, with the instruction of relaxed SIMD (its proposal, opcode 0x105). */
export type MultiplyAdd = (sum: V128, a: V128, b: V128) => V128;

export function multiplyAdd(relaxed: boolean): MultiplyAdd {
  if (!relaxed) return (sum, a, b) => f32x4.add(sum, f32x4.mul(a, b));
  return (sum, a, b) => ({ type: 'v128', code: [...a.code, ...b.code, ...sum.code, 0xfd, 0x85, 0x02] });
}

const WIDEST = 4;

const TILE_PARAMETERS = { x: 'i32', xStride: 'i32', w: 'i32', count: 'i32', out: 'i32', outStride: 'i32', add: 'i32' } as const;

interface Tile {
  readonly tokens: number;
  /** Vectors of rows: so many of the four of a panel are worked on at a time. */
  readonly vectors: number;
  readonly func: Func;
}

/**
 * One token: the whole panel, two columns a round with sums of their own, because it is memory that is waited for. Never fused, which
 * would make the chain of additions longer.
 *
 * Measured as above, GB/s of weights streaming from memory, of 30.0 that reading alone takes, 5632×1024: this 29.2; one column a
 * round 28.2; panels of 32 rows 30.6; two panels at once 27.5; touching what is 2 KB ahead 24.5.
 */
function emitOneToken(module: ModuleBuilder): Tile {
  const madd = multiplyAdd(false);
  const vectors = PANEL / 4;
  const func = module.func('floatTile1', TILE_PARAMETERS, (b, p) => {
    const sums = [0, 1].map(() => b.locals('v128', vectors));
    const activation = b.local('v128');
    const column = (n: number): void => {
      b.set(activation, v128.load32Splat(p.x, 4 * n));
      sums[n].forEach((sum, k) => b.set(sum, madd(sum, activation, v128.load(p.w, n * COLUMN_BYTES + 16 * k))));
    };
    b.if(p.add, () => sums[0].forEach((sum, k) => b.set(sum, v128.load(p.out, 16 * k))));
    b.while(i32.geU(p.count, 2), () => {
      column(0);
      column(1);
      b.increase(p.x, 8);
      b.increase(p.w, 2 * COLUMN_BYTES);
      b.increase(p.count, -2);
    });
    b.if(p.count, () => column(0));
    sums[0].forEach((sum, k) => b.run(v128.store(p.out, f32x4.add(sum, sums[1][k]), 16 * k)));
  });
  return { tokens: 1, vectors, func };
}

function emitTile(module: ModuleBuilder, tokens: number, vectors: number, madd: MultiplyAdd): Tile {
  const func = module.func(`floatTile${tokens}`, TILE_PARAMETERS, (b, p) => {
    const rowOf = (start: I32, stride: I32, t: number): I32 => (t === 0 ? start : i32.add(start, i32.mul(stride, t)));
    const x = Array.from({ length: tokens }, (_, t) => b.local('i32', rowOf(p.x, p.xStride, t)));
    const out = Array.from({ length: tokens }, (_, t) => b.local('i32', rowOf(p.out, p.outStride, t)));
    const sums = x.map(() => b.locals('v128', vectors));
    const weights = b.locals('v128', vectors);
    const activation = b.local('v128');
    const end = b.local('i32', i32.add(p.w, i32.mul(p.count, COLUMN_BYTES)));
    b.if(p.add, () => sums.forEach((row, t) => row.forEach((sum, n) => b.set(sum, v128.load(out[t], 16 * n)))));
    b.while(i32.ltU(p.w, end), () => {
      weights.forEach((vector, n) => b.set(vector, v128.load(p.w, 16 * n)));
      sums.forEach((row, t) => {
        b.set(activation, v128.load32Splat(x[t]));
        row.forEach((sum, n) => b.set(sum, madd(sum, activation, weights[n])));
      });
      for (const pointer of x) b.increase(pointer, 4);
      b.increase(p.w, COLUMN_BYTES);
    });
    sums.forEach((row, t) => row.forEach((sum, n) => b.run(v128.store(out[t], sum, 16 * n))));
  });
  return { tokens, vectors, func };
}

/**
 * panelProduct(x, xStride, w, count, out, outStride, add, tokens): the 16 rows of a panel over `count` columns, for each token:
 * out[t] = w · x[t], or is increased by that if `add`. Strides are bytes from one token to the next.
 */
export function emitPanelProduct(module: ModuleBuilder, relaxed: boolean): Func {
  const madd = multiplyAdd(relaxed);
  const tiles = [emitOneToken(module), emitTile(module, 2, 4, madd), emitTile(module, 3, 2, madd), emitTile(module, WIDEST, 2, madd)];
  return module.func('panelProduct', { ...TILE_PARAMETERS, tokens: 'i32' }, (b, p) => {
    const run = ({ tokens, vectors, func }: Tile): void => {
      for (let row = 0; row < PANEL; row += 4 * vectors) {
        b.run(func.call(p.x, p.xStride, i32.add(p.w, 4 * row), p.count, i32.add(p.out, 4 * row), p.outStride, p.add));
      }
      b.increase(p.x, i32.mul(p.xStride, tokens));
      b.increase(p.out, i32.mul(p.outStride, tokens));
      b.increase(p.tokens, -tokens);
    };
    b.while(i32.geU(p.tokens, WIDEST), () => run(tiles[WIDEST - 1]));
    for (const tile of tiles.slice(0, -1)) b.if(i32.eq(p.tokens, tile.tokens), () => run(tile));
  });
}

export const MATMUL_PARAMETERS = {
  w: 'i32', columns: 'i32', x: 'i32', tokens: 'i32', out: 'i32', rows: 'i32', first: 'i32', last: 'i32', work: 'i32',
} as const;

/** matmul: units are panels. Few tokens read each panel from end to end; many go block by block. */
export function emitMatmul(module: ModuleBuilder, panelProduct: Func): Func {
  return module.func('matmul', MATMUL_PARAMETERS, (b, p) => {
    const [panel, column, count] = [b.local('i32'), b.local('i32'), b.local('i32')] as const;
    const block = b.local('i32', i32.select(BLOCK_COLUMNS, p.columns, i32.geU(p.tokens, 2 * WIDEST)));
    const [xStride, outStride] = [b.local('i32', i32.shl(p.columns, 2)), b.local('i32', i32.shl(p.rows, 2))] as const;
    b.for(column, 0, p.columns, block, () => {
      b.set(count, i32.minU(block, i32.sub(p.columns, column)));
      b.for(panel, p.first, p.last, 1, () => {
        const w = i32.add(p.w, i32.mul(i32.add(i32.mul(panel, p.columns), column), COLUMN_BYTES));
        const out = i32.add(p.out, i32.mul(panel, 4 * PANEL));
        b.run(panelProduct.call(i32.add(p.x, i32.shl(column, 2)), xStride, w, count, out, outStride, column, p.tokens));
      });
    });
  });
}

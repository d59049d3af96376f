import { f32, f32x4, i16x8, i32, i32x4, i8x16, memory, v128, type I32, type I32Operand, type Statement, type V128 } from '../../wasm/instructions.js';
import type { Body, Func, Local, ModuleBuilder, ParameterLocals } from '../../wasm/module.js';
import { COLUMN_BLOCK, COLUMN_GROUP, QUAD_BYTES, ROW_BLOCK } from './layout.js';
import { bytes, splatByte, ZERO } from './vectors.js';

/*
 * Ternary product for one token, by look-up ("LUT2"): for a pair of activations there are nine sums ±x0 ± x1, one for each code, and
 * a swizzle looks the sums of sixteen rows up at once. There is no multiplication in it: additions only.
 * Where an engine has a dot product of bytes in one instruction, that is faster (dot-rows.ts), though it multiplies by -1, 0 and 1.
 *
 * A sum T of a pair has nine bits and a sign, so it is split: T = 23·high + low with |high|, |low| ≤ 11. Both are looked up, with 11
 * added, so that the sums over four quads (at most 8 · 22) fit unsigned bytes; these are then added up as 16-bit lanes.
 *
 * Measured on AMD EPYC (Zen 5), Node 24, streaming, GMAC/s for simd / relaxed: this 52 / 69; one row vector instead of two 48 / 66; four
 * 51 / 66; eight quads in a straight line 53 / 70, but 30 / 52 on Node 20, which moves all loads to the front and spills them; tables of
 * 1024 columns 27 / 30. Two rows in a 16-bit lane, 12 bits apart, and `i32x4.dot_i16x8_s`: 54 to 58, not worth its complexity;
 * `i16x8.relaxed_dot_i8x16_i7x16_s` on masked codes: 69.
 */

const RADIX = 23;
/** Added to each half of a sum: keeps it ≥ 0. */
const BIAS = 11;
/** 2¹⁵ / 23: `q15mulr` with it divides by 23, to the nearest. Exact for |T| ≤ 256. */
const DIVIDE_BY_RADIX = 1425;
/** high and low tables of both pairs of a quad. */
export const QUAD_TABLE_BYTES = 64;
const QUADS_PER_GROUP = COLUMN_GROUP / 4;

const CACHE_LINE = 64;
/**
 * So much of a panel's beginning is touched at once, many misses at a time, which also sets the processor's prefetchers going: 7.5 µs
 * instead of 8.2 for 1024×1024 on four threads.
 */
const TOUCHED_BYTES = 4096;
/** So much of the next matrix is, while a thread has nothing else to do: 313 instead of 283 tokens/s on two threads (370M). */
const NEXT_TOUCHED_BYTES = 8192;
/** Tables of a column block. */
const TABLES_BYTES = (COLUMN_BLOCK / 4) * QUAD_TABLE_BYTES;

/** buildTables(q, tables, columns): the tables of all quads for the activations q[0, columns), a multiple of 16. */
export function emitBuildTables(module: ModuleBuilder): Func {
  return module.func('buildTables', { q: 'i32', tables: 'i32', columns: 'i32' }, (b, { q, tables, columns }) => {
    const end = b.local('i32', i32.add(q, columns));
    const x = b.local('v128');
    const [x0, x1, sum, difference] = b.locals('v128', 4);
    // Places of the nine sums among (S, x0, D, x1), S = x0 + x1, D = x0 - x1, in the order of the codes; from code 5 on they are
    // those of codes 3, 2, 1, 0 with the opposite sign. 0x80 gives 0.
    const order = [0, 1, 2, 3, 0x80, 3, 2, 1, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80];
    const negated = b.local('v128', bytes((lane) => (lane < 4 ? 0xff : 0)));
    // ~v + 1 is -v.
    const bias = b.local('v128', bytes((lane) => (lane < 4 ? BIAS + 1 : BIAS)));
    const radix = b.local('v128', i16x8.splat(RADIX));
    const divide = b.local('v128', i16x8.splat(DIVIDE_BY_RADIX));
    const lowByte = b.local('v128', i16x8.splat(0xff));
    const quotients = [sum, x0, difference, x1].map((value) => [value, b.local('v128')] as const);
    const packed = b.local('v128');
    const packed2 = b.local('v128');
    /** (S, x0, D, x1) of 8 pairs, four bytes each: packed the first four pairs, packed2 the others. */
    const interleave = (parts: readonly Local<'v128'>[]): void => {
      const [s, a, d, c] = parts as [Local<'v128'>, Local<'v128'>, Local<'v128'>, Local<'v128'>];
      const left = v128.or(v128.and(s, lowByte), i16x8.shl(a, 8));
      const right = v128.or(v128.and(d, lowByte), i16x8.shl(c, 8));
      b.set(s, left);
      b.set(d, right);
      b.set(packed, i8x16.shuffle(s, d, [0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23]));
      b.set(packed2, i8x16.shuffle(s, d, [8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31]));
    };
    const storeTables = (half: 'high' | 'low'): void => {
      for (let pair = 0; pair < 8; pair++) {
        const first = 4 * (pair & 3);
        const places = v128.const(order.map((place) => (place === 0x80 ? place : first + place)));
        const signed = v128.xor(i8x16.swizzle(pair < 4 ? packed : packed2, places), negated);
        b.run(v128.store(tables, i8x16.add(signed, bias), pair * 32 + (half === 'high' ? 0 : 16)));
      }
    };
    b.while(i32.ltU(q, end), () => {
      b.set(x, v128.load(q));
      b.set(x0, i16x8.shrS(i16x8.shl(x, 8), 8));
      b.set(x1, i16x8.shrS(x, 8));
      b.set(sum, i16x8.add(x0, x1));
      b.set(difference, i16x8.sub(x0, x1));
      for (const [value, quotient] of quotients) {
        b.set(quotient, i16x8.q15MulrSat(value, divide));
        b.set(value, i16x8.sub(value, i16x8.mul(quotient, radix)));
      }
      interleave(quotients.map(([, quotient]) => quotient));
      storeTables('high');
      interleave(quotients.map(([value]) => value));
      storeTables('low');
      b.increase(q, COLUMN_GROUP);
      b.increase(tables, QUADS_PER_GROUP * QUAD_TABLE_BYTES);
    });
  });
}

export const ROWS_PARAMETERS = {
  packed: 'i32', blocks: 'i32', panelBlocks: 'i32', columns: 'i32', q: 'i32', rows: 'i32', scales: 'i32', qScales: 'i32', out: 'i32',
  next: 'i32', nextPanel: 'i32', nextEnd: 'i32', first: 'i32', last: 'i32', work: 'i32',
} as const;

type RowsParameters = typeof ROWS_PARAMETERS;

/** What of a product for one token depends on where its scales are. */
export interface RowsParts {
  /** Adds one column block of `width` columns from `column` on to the sums, of `count` row blocks from row `row` on. */
  addBlock(at: Readonly<Record<'weights' | 'column' | 'width' | 'count' | 'row' | 'sums', Local<'i32'>>>): Statement;
  /** Writes the results of rows `row` … `end` - 1, as many as there are. */
  write(sums: Local<'i32'>, row: Local<'i32'>, end: I32): Statement;
}

/** ternaryRows: panels first … last - 1 of out[r] = sum[r] · (scales[r] · qScale). */
export function emitTernaryRows(module: ModuleBuilder, buildTables: Func, relaxed: boolean): Func {
  const addBlock = emitAddBlock(module, relaxed);
  const scaleRows = emitScaleRows(module);
  return emitRows(module, 'ternaryRows', ROWS_PARAMETERS, buildTables, (p) => ({
    addBlock: ({ weights, width, count, sums }) => addBlock.call(weights, p.work, width, count, sums),
    write: (sums, row, end) => scaleRows.call(sums, row, end, p.rows, p.scales, f32.load(p.qScales), p.out),
  }));
}

/**
 * Panels first … last - 1 of a product of a matrix of `blocks` row blocks and `columns` columns, a multiple of 16. The tables of a column block are made for each panel anew: fetching them from where another panel,
 * or another thread, left them takes longer. Of the matrix that is expected to follow, at next … nextEnd in panels of `nextPanel`
 * bytes (next 0: none), the panel of the same number is touched.
 */
export function emitRows<P extends RowsParameters>(
  module: ModuleBuilder, name: string, parameters: P, buildTables: Func, partsOf: (p: ParameterLocals<P>) => RowsParts,
): Func {
  return module.func(name, parameters, (b, named) => {
    const p: ParameterLocals<RowsParameters> = named;
    const parts = partsOf(named);
    const [panel, block, count, weights, column, width] = b.locals('i32', 6);
    const [line, lineEnd, touched] = [b.local('i32'), b.local('i32'), b.local('v128')] as const;
    /** Loads a line after the other, up to a page beyond the arena. */
    const touch = (from: I32, length: number): void => {
      b.set(line, from);
      b.set(lineEnd, i32.add(line, length));
      b.set(touched, ZERO);
      b.doWhile(() => {
        for (let n = 0; n < 4; n++) b.set(touched, v128.or(touched, v128.load(line, n * CACHE_LINE)));
        b.increase(line, 4 * CACHE_LINE);
      }, () => i32.ltU(line, lineEnd));
      b.run(v128.store(sums, touched)); // so that the loads are not dropped
    };
    const sums = b.local('i32', i32.add(p.work, TABLES_BYTES));
    b.for(panel, p.first, p.last, 1, () => {
      b.set(block, i32.mul(panel, p.panelBlocks));
      b.set(count, i32.minU(p.panelBlocks, i32.sub(p.blocks, block)));
      b.set(block, i32.mul(block, ROW_BLOCK)); // the first row
      b.set(weights, i32.add(p.packed, i32.mul(block, i32.shrU(p.columns, 2))));
      touch(weights, TOUCHED_BYTES);
      b.run(memory.fill(sums, 0, i32.mul(count, 4 * ROW_BLOCK)));
      b.for(column, 0, p.columns, COLUMN_BLOCK, () => {
        b.set(width, i32.minU(COLUMN_BLOCK, i32.sub(p.columns, column)));
        b.run(buildTables.call(i32.add(p.q, column), p.work, width));
        b.run(parts.addBlock({ weights, column, width, count, row: block, sums }));
        b.increase(weights, i32.mul(count, i32.mul(width, QUAD_BYTES / 4)));
      });
      b.run(parts.write(sums, block, i32.add(block, i32.mul(count, ROW_BLOCK))));
      b.set(weights, i32.add(p.next, i32.mul(panel, p.nextPanel)));
      b.if(i32.ltU(weights, p.nextEnd), () => touch(weights, NEXT_TOUCHED_BYTES));
    });
  });
}

/** sums[r] += Σ over one column block of `width` columns, for `count` row blocks that follow one another. */
function emitAddBlock(module: ModuleBuilder, relaxed: boolean): Func {
  return module.func('addBlock', { w: 'i32', tables: 'i32', width: 'i32', count: 'i32', sums: 'i32' }, (b, p) => {
    const table = b.local('i32');
    const tablesEnd = b.local('i32', i32.add(p.tables, i32.mul(p.width, QUAD_TABLE_BYTES / 4)));
    const bias = b.local('v128', i16x8.splat(biasOf(p.width)));
    const lookUps = createLookUps(b, p.w, table, relaxed);
    b.doWhile(() => {
      b.set(table, p.tables);
      lookUps.sumUp(tablesEnd, bias, (values, rows) => addTo(b, p.sums, rows * 4, values));
      b.increase(p.sums, ROW_BLOCK * 4);
      b.increase(p.count, -1);
    }, () => p.count);
  });
}

/** What the look-ups of so many columns have too much. */
export function biasOf(columns: I32Operand): I32 {
  return i32.mul(columns, (BIAS * (RADIX + 1)) / 2);
}

export interface LookUps {
  /**
   * Sums of a row block over the quads from `table` on, whose codes are at `w`; both move on to `end`.
   * @param each is given 16-bit sums of the rows `first` … `first` + 7 of the block, four times.
   */
  sumUp(end: Local<'i32'>, bias: Local<'v128'>, each: (values: Local<'v128'>, first: number) => void): void;
}

/** Code that looks up and adds, on variables of its own. Called at the start of a function. */
export function createLookUps(b: Body, w: Local<'i32'>, table: Local<'i32'>, relaxed: boolean): LookUps {
  const lookUp = relaxed ? i8x16.relaxedSwizzle : i8x16.swizzle;
  const groupEnd = b.local('i32');
  const nibble = b.local('v128', splatByte(0x0f));
  const radix = b.local('v128', i16x8.splat(RADIX));
  const [highTable, lowTable, codes] = b.locals('v128', 3);
  /** One for each vector of sixteen rows. `all` adds up 16-bit lanes as they are, `odd` their upper bytes. */
  const rowVectors = [0, 1].map(() => ({
    weights: b.local('v128'),
    halves: [0, 1].map(() => ({ bytes: b.local('v128'), all: b.local('v128'), odd: b.local('v128') })),
  }));
  const halves = rowVectors.flatMap((vector) => vector.halves);
  return {
    sumUp(end, bias, each) {
      for (const { all, odd } of halves) {
        b.set(all, ZERO);
        b.set(odd, ZERO);
      }
      b.doWhile(() => {
        for (const half of halves) b.set(half.bytes, ZERO);
        b.set(groupEnd, i32.add(table, QUADS_PER_GROUP * QUAD_TABLE_BYTES));
        b.doWhile(() => {
          for (const pair of [0, 1]) {
            b.set(highTable, v128.load(table, pair * 32));
            b.set(lowTable, v128.load(table, pair * 32 + 16));
            rowVectors.forEach(({ weights, halves: [high, low] }, n) => {
              if (pair === 0) b.set(weights, v128.load(w, n * 16));
              b.set(codes, v128.and(pair === 0 ? weights : i16x8.shrU(weights, 4), nibble));
              b.set(high!.bytes, i8x16.add(high!.bytes, lookUp(highTable, codes)));
              b.set(low!.bytes, i8x16.add(low!.bytes, lookUp(lowTable, codes)));
            });
          }
          b.increase(w, QUAD_BYTES);
          b.increase(table, QUAD_TABLE_BYTES);
        }, () => i32.ltU(table, groupEnd));
        for (const half of halves) {
          b.set(half.all, i16x8.add(half.all, half.bytes));
          b.set(half.odd, i16x8.add(half.odd, i16x8.shrU(half.bytes, 8)));
        }
      }, () => i32.ltU(table, end));
      // The sum of 256 columns is at most 256 · 127 < 2¹⁵, so whatever wraps around in 16 bits comes out right.
      rowVectors.forEach(({ halves: [high, low] }, n) => {
        const even = (half: typeof high): V128 => i16x8.sub(half!.all, i16x8.shl(half!.odd, 8));
        const total = (h: V128, l: V128): V128 => i16x8.sub(i16x8.add(i16x8.mul(h, radix), l), bias);
        b.set(codes, total(even(high), even(low)));
        each(codes, 16 * n);
        b.set(codes, total(high!.odd, low!.odd));
        each(codes, 16 * n + 8);
      });
    },
  };
}

/** Adds eight 16-bit lanes to eight int32 in memory. */
function addTo(b: Body, address: Local<'i32'>, offset: number, values: V128): void {
  b.run(v128.store(address, i32x4.add(v128.load(address, offset), i32x4.extendLowI16x8S(values)), offset));
  b.run(v128.store(address, i32x4.add(v128.load(address, offset + 16), i32x4.extendHighI16x8S(values)), offset + 16));
}

/** out[r] = sums[r - from] · (scales[r] · qScale) for from ≤ r < min(to, rows); `from` is a multiple of 4. */
function emitScaleRows(module: ModuleBuilder): Func {
  return module.func('scaleRows', {
    sums: 'i32', from: 'i32', to: 'i32', rows: 'i32', scales: 'i32', qScale: 'f32', out: 'i32',
  }, (b, p) => {
    b.set(p.to, i32.minU(p.to, p.rows));
    b.increase(p.out, i32.shl(p.from, 2));
    b.increase(p.scales, i32.shl(p.from, 2));
    const end = b.local('i32', i32.add(p.sums, i32.shl(i32.sub(p.to, p.from), 2)));
    const at = b.local('i32', p.sums);
    const qScale = b.local('v128', f32x4.splat(p.qScale));
    // In place: what is behind the last row must not be written.
    b.while(i32.ltU(at, end), () => {
      b.run(v128.store(at, f32x4.mul(f32x4.convertI32x4S(v128.load(at)), f32x4.mul(v128.load(p.scales), qScale))));
      b.increase(at, 16);
      b.increase(p.scales, 16);
    });
    b.run(memory.copy(p.out, p.sums, i32.sub(end, p.sums)));
  });
}

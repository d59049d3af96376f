import { f32x4, i16x8, i32, i32x4, i8x16, memory as bulk, v128, type I32, type V128 } from '../../wasm/instructions.js';
import type { Body, Func, Local, ModuleBuilder } from '../../wasm/module.js';
import { COLUMN_BLOCK, COLUMN_GROUP, QUAD_BYTES, ROW_BLOCK } from './layout.js';
import { ZERO } from './vectors.js';

/*
 * Ternary product for a tile of tokens, by tables of partial-sum vectors: for the four columns of a quad there are 81 rows of
 * weights; the sum of each, for all tokens of the tile (one to a 16-bit lane), is made once, and every row of the matrix adds the
 * entry that its byte names. So a weight is unpacked once for all tokens. Additions only.
 *
 * The tables of some quads lie in the caches while all rows of a task go by; their sums are kept as 16-bit lanes over one column
 * block (at most 256 · 127 < 2¹⁵), then added to int32.
 *
 * Measured on AMD EPYC (Zen 5), GMAC/s on 5632×1024, Node 24 / 20, tokens × quads: 16 × 32 in groups of four (this) 144 / 142; 16 × 16 140 / 134;
 * 16 × 16 in a straight line 132 / 99; 16 × 8 106 / 117; 32 × 4 95 / 105; 32 × 16 136 / 115; 8 × 16 105 / 110; 8 × 8 85 / 93.
 */

/** Tokens of a tile, and the quads whose tables are in use at a time. */
export interface TileShape {
  readonly tokens: 8 | 16;
  readonly quads: number;
}

/** Quads that are added in a straight line. */
const MAX_STRAIGHT = 4;
const CACHE_LINE = 64;
/** A byte of two codes, each at most 8, is at most 0x88. */
const TABLE_ENTRIES = 0x89;

/** Where a task keeps what, from the start of its work space. */
interface TileMemory {
  /** Bytes of one 16-bit value for each token. */
  readonly vector: number;
  readonly activations: number; // [COLUMN_BLOCK][vector]
  readonly touched: number; //     a word that nobody reads
  readonly pairSums: number; //    [9] vectors of eight tokens
  readonly tables: number; //      [quads][TABLE_ENTRIES][vector]
  readonly tableBytes: number;
  readonly sums16: number; //      [rows][vector]
  /** [rows][2·vector] int32, behind sums16. */
  readonly rowBytes: number;
}

function tileMemory({ tokens, quads }: TileShape): TileMemory {
  const vector = tokens * 2;
  const activations = 0;
  const touched = activations + COLUMN_BLOCK * vector;
  const pairSums = touched + 16;
  const tables = pairSums + 9 * 16;
  const tableBytes = TABLE_ENTRIES * vector;
  return { vector, activations, touched, pairSums, tables, tableBytes, sums16: tables + quads * tableBytes, rowBytes: 3 * vector };
}

/** Bytes of work space of a task of `blocks` row blocks. */
export function tileWorkBytes(shape: TileShape, blocks: number): number {
  const memory = tileMemory(shape);
  return memory.sums16 + blocks * ROW_BLOCK * memory.rowBytes;
}

export const TILE_PARAMETERS = {
  packed: 'i32', blocks: 'i32', panelBlocks: 'i32', columns: 'i32', q: 'i32', qStride: 'i32', qScales: 'i32', tokens: 'i32',
  rows: 'i32', scales: 'i32', out: 'i32', taskBlocks: 'i32', tasks: 'i32', first: 'i32', last: 'i32', work: 'i32',
} as const;

/**
 * ternaryTile: tasks first … last - 1 of out = ternary product for `tokens` tokens. Task n is of tile floor(n / tasks) and row blocks
 * (n mod tasks)·taskBlocks and on, `taskBlocks` of them or fewer: a whole number of panels.
 */
export function emitTernaryTile(module: ModuleBuilder, shape: TileShape): Func {
  const name = `ternaryTile${shape.tokens}`;
  const memory = tileMemory(shape);
  const touch = emitTouch(module, `touch${shape.tokens}`, memory);
  const transpose = emitTranspose(module, `transpose${shape.tokens}`, shape, memory);
  const buildTable = emitBuildTable(module, `buildTable${shape.tokens}`, memory);
  const addQuads = emitAddQuads(module, `addQuads${shape.tokens}`, shape, memory);
  const addQuad = emitAddQuads(module, `addQuad${shape.tokens}`, { ...shape, quads: 1 }, memory);
  const widen = emitWiden(module, `widen${shape.tokens}`, memory);
  const write = emitWrite(module, `write${shape.tokens}`, shape);
  return module.func(name, TILE_PARAMETERS, (b, p) => {
    const task = b.local('i32');
    const [tile, firstBlock, count] = [b.local('i32'), b.local('i32'), b.local('i32')] as const;
    const [q, tokens, column, width, quad, table] =
      [b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32')] as const;
    const [panel, panelEnd, panelCount, weights, rows16, sums32] =
      [b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32')] as const;
    const rowBytes = b.local('i32', i32.mul(p.columns, ROW_BLOCK / 4)); // of a row block
    const sums16 = b.local('i32', i32.add(p.work, memory.sums16));
    /** `panelCount` row blocks of a panel and the `weights` of their column block: those of a panel are [column block][row block][quad]. */
    const eachPanel = (body: () => void): void => b.for(panel, firstBlock, panelEnd, p.panelBlocks, () => {
      b.set(panelCount, i32.minU(p.panelBlocks, i32.sub(p.blocks, panel)));
      b.set(weights, i32.add(i32.add(p.packed, i32.mul(panel, rowBytes)), i32.mul(panelCount, i32.mul(column, QUAD_BYTES / 4))));
      body();
    });
    b.for(task, p.first, p.last, 1, () => {
      b.set(tile, i32.divU(task, p.tasks));
      b.set(firstBlock, i32.mul(i32.sub(task, i32.mul(tile, p.tasks)), p.taskBlocks));
      b.set(count, i32.minU(p.taskBlocks, i32.sub(p.blocks, firstBlock)));
      b.set(panelEnd, i32.add(firstBlock, count));
      b.set(tile, i32.mul(tile, shape.tokens));
      b.set(tokens, i32.minU(shape.tokens, i32.sub(p.tokens, tile)));
      b.set(q, i32.add(p.q, i32.mul(tile, p.qStride)));
      b.set(sums32, i32.add(sums16, i32.mul(count, ROW_BLOCK * memory.vector)));
      b.run(bulk.fill(sums16, 0, i32.mul(count, ROW_BLOCK * memory.rowBytes)));
      b.for(column, 0, p.columns, COLUMN_BLOCK, () => {
        b.set(width, i32.minU(COLUMN_BLOCK, i32.sub(p.columns, column)));
        eachPanel(() => b.run(touch.call(weights, i32.mul(panelCount, i32.mul(width, QUAD_BYTES / 4)), p.work)));
        b.run(transpose.call(i32.add(q, column), p.qStride, tokens, width, p.work));
        b.set(quad, i32.const(0));
        b.while(i32.ltU(quad, i32.shrU(width, 2)), () => {
          const whole = i32.leU(i32.add(quad, shape.quads), i32.shrU(width, 2));
          const pass = (quads: number, add: Func): void => {
            b.for(table, 0, quads, 1, () => b.run(buildTable.call(p.work, i32.add(quad, table), table)));
            b.set(rows16, sums16);
            eachPanel(() => {
              b.run(add.call(i32.add(weights, i32.mul(quad, QUAD_BYTES)), i32.mul(width, QUAD_BYTES / 4), panelCount, p.work, rows16));
              b.increase(rows16, i32.mul(panelCount, ROW_BLOCK * memory.vector));
            });
            b.increase(quad, quads);
          };
          b.if(whole, () => pass(shape.quads, addQuads), () => pass(1, addQuad));
        });
        b.run(widen.call(sums16, sums32, i32.mul(count, ROW_BLOCK)));
      });
      b.set(firstBlock, i32.mul(firstBlock, ROW_BLOCK));
      const out = i32.add(p.out, i32.shl(i32.add(i32.mul(tile, p.rows), firstBlock), 2));
      const rows = i32.sub(p.rows, firstBlock);
      b.set(count, i32.mul(count, ROW_BLOCK));
      b.run(write.call(
        sums32, i32.minU(rows, count), p.rows, i32.add(p.scales, i32.shl(firstBlock, 2)),
        i32.add(p.qScales, i32.shl(tile, 2)), tokens, out,
      ));
    });
  });
}

/** Loads a line after the other, many misses at a time: the passes go over a column block in strides, which prefetchers do not follow. */
function emitTouch(module: ModuleBuilder, name: string, memory: TileMemory): Func {
  return module.func(name, { from: 'i32', length: 'i32', work: 'i32' }, (b, p) => {
    const end = b.local('i32', i32.add(p.from, p.length));
    const touched = b.local('i32');
    b.doWhile(() => {
      b.set(touched, i32.or(touched, i32.load(p.from)));
      b.increase(p.from, CACHE_LINE);
    }, () => i32.ltU(p.from, end));
    b.run(i32.store(p.work, touched, memory.touched)); // so that the loads are not dropped
  });
}

/** q [tokens, columns] int8 → activations [column][token] int16. Tokens that are missing repeat the last one. */
function emitTranspose(module: ModuleBuilder, name: string, shape: TileShape, memory: TileMemory): Func {
  return module.func(name, { q: 'i32', stride: 'i32', tokens: 'i32', width: 'i32', to: 'i32' }, (b, p) => {
    const end = b.local('i32', i32.add(p.q, p.width));
    const from = b.local('i32');
    const rows = Array.from({ length: 16 }, () => b.local('v128'));
    const other = Array.from({ length: 16 }, () => b.local('v128'));
    b.while(i32.ltU(p.q, end), () => {
      for (let half = 0; half < shape.tokens; half += 16) {
        rows.forEach((row, n) => {
          if (n === 0 && half === 0) b.set(from, p.q);
          else b.increase(from, i32.select(p.stride, 0, i32.ltU(i32.const(half + n), p.tokens)));
          b.set(row, v128.load(from));
        });
        // Four times, bytes of rows n and n + 8 side by side: a 16 × 16 transposition.
        let [a, c] = [rows, other];
        for (let stage = 0; stage < 4; stage++) {
          for (let n = 0; n < 8; n++) {
            b.set(c[2 * n]!, i8x16.shuffle(a[n]!, a[n + 8]!, [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23]));
            b.set(c[2 * n + 1]!, i8x16.shuffle(a[n]!, a[n + 8]!, [8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31]));
          }
          [a, c] = [c, a];
        }
        a.forEach((column, n) => {
          const at = n * memory.vector + half * 2;
          b.run(v128.store(p.to, i16x8.extendLowI8x16S(column), at));
          if (shape.tokens > 8) b.run(v128.store(p.to, i16x8.extendHighI8x16S(column), at + 16));
        });
      }
      b.increase(p.q, COLUMN_GROUP);
      b.increase(p.to, COLUMN_GROUP * memory.vector);
    });
  });
}

/** The table of quad `quad` of the column block, as table number `table`. */
function emitBuildTable(module: ModuleBuilder, name: string, memory: TileMemory): Func {
  const { vector } = memory;
  return module.func(name, { work: 'i32', quad: 'i32', table: 'i32' }, (b, p) => {
    const x = b.local('i32', i32.add(p.work, i32.mul(p.quad, 4 * vector)));
    const [to, second, secondEnd] = [b.local('i32'), b.local('i32'), b.local('i32')] as const;
    const [x0, x1, sum] = [b.local('v128'), b.local('v128'), b.local('v128')] as const;
    const minus = (value: V128): V128 => i16x8.sub(ZERO, value);
    /** Of columns 2·pair and 2·pair + 1, in the order of the codes. */
    const pairSums = (pair: number, at: number): V128[] => {
      b.set(x0, v128.load(x, memory.activations + 2 * pair * vector + at));
      b.set(x1, v128.load(x, memory.activations + (2 * pair + 1) * vector + at));
      return [
        minus(i16x8.add(x0, x1)), minus(x0), i16x8.sub(x1, x0), minus(x1), ZERO, x1, i16x8.sub(x0, x1), x0, i16x8.add(x0, x1),
      ];
    };
    const first = Array.from({ length: 9 }, () => b.local('v128'));
    for (let at = 0; at < vector; at += 16) {
      pairSums(1, at).forEach((value, code) => b.run(v128.store(p.work, value, memory.pairSums + code * 16)));
      pairSums(0, at).forEach((value, code) => b.set(first[code]!, value));
      b.set(to, i32.add(p.work, i32.mul(p.table, memory.tableBytes)));
      b.set(second, p.work);
      b.set(secondEnd, i32.add(p.work, 9 * 16));
      b.doWhile(() => {
        b.set(sum, v128.load(second, memory.pairSums));
        first.forEach((value, code) => b.run(v128.store(to, i16x8.add(sum, value), memory.tables + code * vector + at)));
        b.increase(second, 16);
        b.increase(to, 16 * vector);
      }, () => i32.ltU(second, secondEnd));
    }
  });
}

/**
 * row[r] += the entries that the row's bytes name, for `quads` quads and `count` row blocks, each `stride` bytes after the last; rows
 * are in the order of the bytes.
 *
 * Four quads are a basic block: in a longer straight line Node 20 would move all loads to the front, and spill them. A loop's end would
 * do as well, but costs a sixth more.
 */
function emitAddQuads(module: ModuleBuilder, name: string, { quads }: TileShape, memory: TileMemory): Func {
  const { vector } = memory;
  const vectors = vector / 16;
  return module.func(name, { w: 'i32', stride: 'i32', count: 'i32', work: 'i32', row: 'i32' }, (b, p) => {
    const { row } = p;
    const [from, entry, rowEnd] = [b.local('i32'), b.local('i32'), b.local('i32')] as const;
    /** Rows that are next to each other: the additions of one do not wait for the other's. */
    const rows = Array.from({ length: 2 / vectors }, () => Array.from({ length: vectors }, () => b.local('v128')));
    const sums = rows.flat();
    const addQuad = (quad: number): void => rows.forEach((sumsOfRow, r) => {
      b.set(entry, i32.add(i32.mul(i32.load8U(from, quad * QUAD_BYTES + r), vector), p.work));
      sumsOfRow.forEach((sum, n) =>
        b.set(sum, i16x8.add(sum, v128.load(entry, memory.tables + quad * memory.tableBytes + n * 16))),
      );
    });
    b.doWhile(() => {
      b.set(from, p.w);
      b.set(rowEnd, i32.add(row, ROW_BLOCK * vector));
      b.doWhile(() => {
        sums.forEach((sum, n) => b.set(sum, v128.load(row, n * 16)));
        for (let first = 0; first < quads; first += MAX_STRAIGHT) {
          const addGroup = (): void => {
            for (let quad = first; quad < Math.min(quads, first + MAX_STRAIGHT); quad++) addQuad(quad);
          };
          // Always so, but nobody knows.
          if (first === 0) addGroup();
          else b.if(i32.ne(p.work, first), addGroup);
        }
        sums.forEach((sum, n) => b.run(v128.store(row, sum, n * 16)));
        b.increase(from, rows.length);
        b.increase(row, sums.length * 16);
      }, () => i32.ltU(row, rowEnd));
      b.increase(p.w, p.stride);
      b.increase(p.count, -1);
    }, () => p.count);
  });
}

/** sums32[row] += sums16[row]; sums16[row] = 0. */
function emitWiden(module: ModuleBuilder, name: string, memory: TileMemory): Func {
  return module.func(name, { sums16: 'i32', sums32: 'i32', rows: 'i32' }, (b, p) => {
    const end = b.local('i32', i32.add(p.sums16, i32.mul(p.rows, memory.vector)));
    const sums = b.local('v128');
    b.doWhile(() => {
      b.set(sums, v128.load(p.sums16));
      b.run(v128.store(p.sums16, ZERO));
      b.run(v128.store(p.sums32, i32x4.add(v128.load(p.sums32), i32x4.extendLowI16x8S(sums))));
      b.run(v128.store(p.sums32, i32x4.add(v128.load(p.sums32, 16), i32x4.extendHighI16x8S(sums)), 16));
      b.increase(p.sums16, 16);
      b.increase(p.sums32, 32);
    }, () => i32.ltU(p.sums16, end));
  });
}

/** out[t, r] = sums32[r][t] · (scales[r] · qScales[t]), 4 × 4 at a time. In `sums`, rows are in the order of the bytes (layout.ts). */
function emitWrite(module: ModuleBuilder, name: string, shape: TileShape): Func {
  return module.func(name, {
    sums: 'i32', rows: 'i32', outRows: 'i32', scales: 'i32', qScales: 'i32', tokens: 'i32', out: 'i32',
  }, (b, p) => {
    const [t, r, from, to, scale] = [b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32'), b.local('i32')] as const;
    const values = Array.from({ length: 4 }, () => b.local('v128'));
    const pairs = Array.from({ length: 4 }, () => b.local('v128'));
    const scales = b.local('v128');
    const low = (a: V128, c: V128): V128 => i8x16.shuffle(a, c, [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23]);
    const high = (a: V128, c: V128): V128 => i8x16.shuffle(a, c, [8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31]);
    b.for(t, 0, p.tokens, 4, () => {
      b.set(scale, p.scales);
      b.for(r, 0, p.rows, 4, () => {
        b.set(from, i32.add(i32.and(r, -16), i32.add(i32.shl(i32.and(r, 7), 1), i32.and(i32.shrU(r, 3), 1))));
        b.set(from, i32.add(i32.add(p.sums, i32.shl(t, 2)), i32.mul(from, shape.tokens * 4)));
        values.forEach((value, n) => b.set(value, v128.load(from, 2 * n * shape.tokens * 4)));
        b.set(pairs[0]!, low(values[0]!, values[2]!));
        b.set(pairs[1]!, high(values[0]!, values[2]!));
        b.set(pairs[2]!, low(values[1]!, values[3]!));
        b.set(pairs[3]!, high(values[1]!, values[3]!));
        b.set(values[0]!, low(pairs[0]!, pairs[2]!));
        b.set(values[1]!, high(pairs[0]!, pairs[2]!));
        b.set(values[2]!, low(pairs[1]!, pairs[3]!));
        b.set(values[3]!, high(pairs[1]!, pairs[3]!));
        b.set(scales, v128.load(scale));
        b.set(to, i32.add(p.out, i32.shl(i32.add(i32.mul(t, p.outRows), r), 2)));
        values.forEach((value, n) => {
          b.if(i32.ltU(i32.add(t, n), p.tokens), () => {
            const product = f32x4.mul(scales, v128.load32Splat(i32.add(p.qScales, i32.shl(i32.add(t, n), 2))));
            b.set(value, f32x4.mul(f32x4.convertI32x4S(value), product));
            storeRows(b, to, value, i32.sub(p.rows, r));
          });
          b.increase(to, i32.shl(p.outRows, 2));
        });
        b.increase(scale, 16);
      });
    });
  });
}

/** Stores the first min(count, 4) lanes. */
function storeRows(b: Body, to: Local<'i32'>, value: Local<'v128'>, count: I32): void {
  b.if(i32.geU(count, 4), () => b.run(v128.store(to, value)), () => {
    b.run(v128.store32Lane(to, value, 0));
    b.if(i32.geU(count, 2), () => b.run(v128.store32Lane(to, value, 1, 4)));
    b.if(i32.geU(count, 3), () => b.run(v128.store32Lane(to, value, 2, 8)));
  });
}

import { f32x4, i16x8, i32, i32x4, i8x16, v128, type I32, type V128 } from '../../wasm/instructions.js';
import type { Body, Func, Local, ModuleBuilder } from '../../wasm/module.js';
import { COLUMN_BLOCK, COLUMN_GROUP } from './layout.js';
import { ZERO } from './vectors.js';

/* What lies around the look-ups of a tile of tokens (batch.ts): its memory, transposing activations, widening sums, writing results. */

/** Tokens of a tile, and the quads whose tables are in use at a time. */
export interface TileShape {
  readonly tokens: 8 | 16 | 32;
  readonly quads: number;
}

/** A byte of two codes, each at most 8, is at most 0x88. */
const TABLE_ENTRIES = 0x89;

/** Where a task keeps what, from the start of its work space. */
export interface TileMemory {
  /** Bytes of one 16-bit value for each token. */
  readonly vector: number;
  readonly activations: number; // [COLUMN_BLOCK][vector]
  readonly addresses: number; //   [quads][16] of entries: of a row group that is packed for dot products (dot-tile.ts)
  readonly touched: number; //     a word that nobody reads
  readonly tables: number; //      [quads][TABLE_ENTRIES][vector]
  readonly tableBytes: number;
  readonly sums16: number; //      [rows][vector]
  /** [rows][2·vector] int32, behind sums16. */
  readonly rowBytes: number;
}

export function tileMemory({ tokens, quads }: TileShape): TileMemory {
  const vector = tokens * 2;
  const activations = 0;
  const addresses = activations + COLUMN_BLOCK * vector;
  const touched = addresses + quads * 64;
  const tables = touched + 64; // entries of 64 bytes are a cache line each
  const tableBytes = TABLE_ENTRIES * vector;
  return { vector, activations, addresses, touched, tables, tableBytes, sums16: tables + quads * tableBytes, rowBytes: 3 * vector };
}

/** q [tokens, columns] int8 → activations [column][token] int16, of 8 or 16 tokens. Tokens that are missing repeat the last one. */
export function emitTranspose(module: ModuleBuilder, name: string, tokens: 8 | 16, memory: TileMemory): Func {
  return module.func(name, { q: 'i32', stride: 'i32', tokens: 'i32', width: 'i32', to: 'i32' }, (b, p) => {
    const end = b.local('i32', i32.add(p.q, p.width));
    const from = b.local('i32');
    const rows = b.locals('v128', tokens);
    const other = b.locals('v128', tokens);
    const half = tokens / 2;
    b.while(i32.ltU(p.q, end), () => {
      rows.forEach((row, n) => {
        if (n === 0) b.set(from, p.q);
        else b.increase(from, i32.select(p.stride, 0, i32.ltU(i32.const(n), p.tokens)));
        b.set(row, v128.load(from));
      });
      // Bytes of the first and the second half of the rows side by side, until all are [column][token].
      let [a, c] = [rows, other];
      for (let apart = half; apart >= 1; apart /= 2) {
        for (let n = 0; n < half; n++) {
          b.set(c[2 * n]!, i8x16.shuffle(a[n]!, a[n + half]!, [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23]));
          b.set(c[2 * n + 1]!, i8x16.shuffle(a[n]!, a[n + half]!, [8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31]));
        }
        [a, c] = [c, a];
      }
      // Sixteen bytes are a column, or two.
      const step = tokens === 8 ? 2 * memory.vector : memory.vector;
      a.forEach((bytes, n) => {
        b.run(v128.store(p.to, i16x8.extendLowI8x16S(bytes), step * n));
        b.run(v128.store(p.to, i16x8.extendHighI8x16S(bytes), step * n + 16));
      });
      b.increase(p.q, COLUMN_GROUP);
      b.increase(p.to, COLUMN_GROUP * memory.vector);
    });
  });
}

/** Vectors that are widened at a time. */
const WIDENED = 4;

/** sums32 += sums16 and sums16 = 0, for `rows` rows: whole row blocks. */
export function emitWiden(module: ModuleBuilder, name: string, memory: TileMemory): Func {
  return module.func(name, { sums16: 'i32', sums32: 'i32', rows: 'i32' }, (b, p) => {
    const end = b.local('i32', i32.add(p.sums16, i32.mul(p.rows, memory.vector)));
    const sums = b.local('v128');
    const add = (value: V128, at: number): void =>
      b.run(v128.store(p.sums32, i32x4.add(v128.load(p.sums32, at), value), at));
    b.doWhile(() => {
      for (let n = 0; n < WIDENED; n++) {
        b.set(sums, v128.load(p.sums16, n * 16));
        b.run(v128.store(p.sums16, ZERO, n * 16));
        add(i32x4.extendLowI16x8S(sums), n * 32);
        add(i32x4.extendHighI16x8S(sums), n * 32 + 16);
      }
      b.increase(p.sums16, WIDENED * 16);
      b.increase(p.sums32, WIDENED * 32);
    }, () => i32.ltU(p.sums16, end));
  });
}

/**
 * In which order the rows of sums are: as their numbers; or as their bytes are in layout.ts, where of sixteen those that are eight apart are
 * next to each other.
 */
export type RowOrder = 'rows' | 'bytes';

/**
 * out[t, r] = sums32[r][t] · (scales[r] · qScales[t]), 4 × 4 at a time.
 * @param isScaled whether sums are float32, and are written as they are.
 */
export function emitWrite(module: ModuleBuilder, name: string, shape: TileShape, order: RowOrder, isScaled = false): Func {
  return module.func(name, {
    sums: 'i32', rows: 'i32', outRows: 'i32', scales: 'i32', qScales: 'i32', tokens: 'i32', out: 'i32',
  }, (b, p) => {
    const [t, r, from, to, scale] = b.locals('i32', 5);
    const values = b.locals('v128', 4);
    const pairs = b.locals('v128', 4);
    const scales = b.local('v128');
    const low = (a: V128, c: V128): V128 => i8x16.shuffle(a, c, [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23]);
    const high = (a: V128, c: V128): V128 => i8x16.shuffle(a, c, [8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31]);
    b.for(t, 0, p.tokens, 4, () => {
      b.set(scale, p.scales);
      b.for(r, 0, p.rows, 4, () => {
        b.set(from, order === 'rows' ? r : i32.add(i32.and(r, -16), i32.add(i32.shl(i32.and(r, 7), 1), i32.and(i32.shrU(r, 3), 1))));
        b.set(from, i32.add(i32.add(p.sums, i32.shl(t, 2)), i32.mul(from, shape.tokens * 4)));
        values.forEach((value, n) => b.set(value, v128.load(from, (order === 'rows' ? n : 2 * n) * shape.tokens * 4)));
        b.set(pairs[0]!, low(values[0]!, values[2]!));
        b.set(pairs[1]!, high(values[0]!, values[2]!));
        b.set(pairs[2]!, low(values[1]!, values[3]!));
        b.set(pairs[3]!, high(values[1]!, values[3]!));
        b.set(values[0]!, low(pairs[0]!, pairs[2]!));
        b.set(values[1]!, high(pairs[0]!, pairs[2]!));
        b.set(values[2]!, low(pairs[1]!, pairs[3]!));
        b.set(values[3]!, high(pairs[1]!, pairs[3]!));
        if (!isScaled) b.set(scales, v128.load(scale));
        b.set(to, i32.add(p.out, i32.shl(i32.add(i32.mul(t, p.outRows), r), 2)));
        values.forEach((value, n) => {
          b.if(i32.ltU(i32.add(t, n), p.tokens), () => {
            const product = f32x4.mul(scales, v128.load32Splat(i32.add(p.qScales, i32.shl(i32.add(t, n), 2))));
            if (!isScaled) b.set(value, f32x4.mul(f32x4.convertI32x4S(value), product));
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
    for (const lane of [0, 1, 2]) b.if(i32.geU(count, lane + 1), () => b.run(v128.store32Lane(to, value, lane, 4 * lane)));
  });
}

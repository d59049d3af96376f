import { i16x8, i32, memory as bulk, v128, type I32, type Statement, type V128 } from '../../wasm/instructions.js';
import type { Body, Func, Local, ModuleBuilder, ParameterLocals } from '../../wasm/module.js';
import { UNITS } from './jobs.js';
import { COLUMN_BLOCK, QUAD_BYTES, ROW_BLOCK } from './layout.js';
import { emitTranspose, emitWiden, emitWrite, tileMemory, type RowOrder, type TileMemory, type TileShape } from './tile.js';
import { ZERO } from './vectors.js';

/*
 * Ternary product for a tile of tokens, by tables of partial-sum vectors: for the four columns of a quad there are 81 rows of
 * weights; the sum of each, for all tokens of the tile (one to a 16-bit lane), is made once, and every row of the matrix adds the
 * entry that its byte names. So a weight is unpacked once for all tokens. Additions only.
 *
 * The tables of some quads lie in the caches while all rows of a task go by; their sums are kept as 16-bit lanes over one column
 * block (at most 256 · 127 < 2¹⁵), then added to int32.
 *
 * Measured on AMD EPYC (Zen 5), 1024×1024 streaming, Node 24 / 20, GMAC/s: tile of eight 131 / 130, from the caches 147 / 145; tile of
 * sixteen 152 / 149 and 160 / 157. The additions alone do 165 and 180; the processor's limit for these five instructions an entry (load
 * a byte, shift, add, load the entry, add it) is 183 and 247. bench/README.md has what did worse.
 */

/** Quads that are added in a straight line. */
const MAX_STRAIGHT = 4;
const CACHE_LINE = 64;

export const TILE_ARGUMENTS = {
  packed: 'i32', blocks: 'i32', panelBlocks: 'i32', columns: 'i32', q: 'i32', qStride: 'i32', qScales: 'i32', tokens: 'i32',
  rows: 'i32', scales: 'i32', out: 'i32', taskBlocks: 'i32', tasks: 'i32',
} as const;
export const TILE_PARAMETERS = { ...TILE_ARGUMENTS, ...UNITS } as const;

/** What the products of tiles of one shape are made of: what of it depends on the packing. */
export interface TileFunctions {
  readonly shape: TileShape;
  readonly memory: TileMemory;
  readonly order: RowOrder;
  /** Puts int8 activations of `tokens` tokens from `q` on, `stride` bytes apart, into the work space as int16 of [column][token]. */
  transpose(b: Body, q: I32, stride: I32, tokens: I32, width: I32, work: I32): void;
  readonly buildTables: Func;
  /** Brings weights of `count` row blocks from `block` on into the caches, of `width` columns from `column` on. */
  touch(b: Body, p: ParameterLocals<typeof TILE_PARAMETERS>, at: TilePlace): void;
  /** Adds the entries that those of `quads` quads from `quad` of these columns on name to the sums: all that have tables, or one. */
  add(b: Body, p: ParameterLocals<typeof TILE_PARAMETERS>, at: TilePlace & { readonly quad: Local<'i32'>; readonly sums: Local<'i32'> }, isOne: boolean): void;
}

/** What a task has of a matrix at a time. */
export type TilePlace = Readonly<Record<'block' | 'count' | 'column' | 'width', Local<'i32'>>>;

export function emitTileFunctions(module: ModuleBuilder, shape: TileShape & { readonly tokens: 8 | 16 }): TileFunctions {
  const memory = tileMemory(shape);
  const touch = emitTouch(module, `touch${shape.tokens}`, memory);
  const transpose = emitTranspose(module, `transpose${shape.tokens}`, shape.tokens, memory);
  const [addQuads, addQuad] = [
    emitAddQuads(module, `addQuads${shape.tokens}`, shape, memory), emitAddQuads(module, `addQuad${shape.tokens}`, { ...shape, quads: 1 }, memory),
  ];
  /** `count` row blocks of a panel and the `weights` of their column block: those of a panel are [column block][row block][quad]. */
  const eachPanel = (
    b: Body, p: ParameterLocals<typeof TILE_PARAMETERS>, { block, count: blocks, column }: TilePlace, body: (weights: Local<'i32'>, count: Local<'i32'>) => void,
  ): void => {
    const [panel, weights, count] = b.locals('i32', 3);
    b.for(panel, block, i32.add(block, blocks), p.panelBlocks, () => {
      b.set(count, i32.minU(p.panelBlocks, i32.sub(p.blocks, panel)));
      b.set(weights, i32.add(i32.add(p.packed, i32.mul(panel, i32.mul(p.columns, ROW_BLOCK / 4))), i32.mul(count, i32.mul(column, QUAD_BYTES / 4))));
      body(weights, count);
    });
  };
  return {
    shape, memory, order: 'bytes',
    transpose: (b, ...args) => b.run(transpose.call(...args)),
    buildTables: emitBuildTables(module, `buildTables${shape.tokens}`, memory),
    touch(b, p, at) {
      eachPanel(b, p, at, (weights, count) => b.run(touch.call(weights, i32.mul(count, i32.mul(at.width, QUAD_BYTES / 4)), p.work)));
    },
    add(b, p, at, isOne) {
      const sums = b.local('i32', at.sums);
      eachPanel(b, p, at, (weights, count) => {
        b.run((isOne ? addQuad : addQuads).call(i32.add(weights, i32.mul(at.quad, QUAD_BYTES)), i32.mul(at.width, QUAD_BYTES / 4), count, p.work, sums));
        b.increase(sums, i32.mul(count, ROW_BLOCK * memory.vector));
      });
    },
  };
}

/** What of a product for a tile depends on where its scales are. */
export interface TileParts {
  /** The sums are taken over after so many quads, from the start of each column block on, and at its end. */
  readonly groupQuads: I32;
  /** Takes the sums of `rows` rows from row block `block` on, over a group that ends before `quad` of the column block, over into those of the task; sums16 are zeros then. */
  takeOver(at: Readonly<Record<'sums16' | 'sums32' | 'column' | 'quad' | 'block' | 'tile', Local<'i32'>>>, rows: I32): Statement;
  /** Writes the results of `rows` rows from row `row` on, for `tokens` tokens from `tile` on. */
  write(at: Readonly<Record<'sums32' | 'row' | 'tile' | 'tokens', Local<'i32'>>>, rows: I32, out: I32): Statement;
}

/** ternaryTile: out = ternary product, with a scale a row. */
export function emitTernaryTile(module: ModuleBuilder, functions: TileFunctions): Func {
  const { shape, memory } = functions;
  const widen = emitWiden(module, `widen${shape.tokens}`, memory);
  const write = emitWrite(module, `write${shape.tokens}`, shape, functions.order);
  return emitTile(module, `ternaryTile${shape.tokens}`, TILE_PARAMETERS, functions, (p) => ({
    groupQuads: i32.const(COLUMN_BLOCK / 4),
    takeOver: ({ sums16, sums32 }, rows) => widen.call(sums16, sums32, rows),
    write: ({ sums32, row, tile, tokens }, rows, out) =>
      write.call(sums32, rows, p.rows, i32.add(p.scales, i32.shl(row, 2)), i32.add(p.qScales, i32.shl(tile, 2)), tokens, out),
  }));
}

/**
 * Tasks first … last - 1 of a product for `tokens` tokens. Task n is of tile floor(n / tasks) and row blocks
 * (n mod tasks)·taskBlocks and on, `taskBlocks` of them or fewer: a whole number of panels.
 */
export function emitTile<P extends typeof TILE_PARAMETERS>(
  module: ModuleBuilder, name: string, parameters: P, functions: TileFunctions, partsOf: (p: ParameterLocals<P>) => TileParts,
): Func {
  const { shape, memory, touch, transpose, buildTables, add } = functions;
  return module.func(name, parameters, (b, named) => {
    const p: ParameterLocals<typeof TILE_PARAMETERS> = named;
    const parts = partsOf(named);
    const task = b.local('i32');
    const [tile, firstBlock, count] = b.locals('i32', 3);
    const [q, tokens, column, width, quad, groupEnd] = b.locals('i32', 6);
    const sums32 = b.local('i32');
    const sums16 = b.local('i32', i32.add(p.work, memory.sums16));
    const place = { block: firstBlock, count, column, width };
    b.for(task, p.first, p.last, 1, () => {
      b.set(tile, i32.divU(task, p.tasks));
      b.set(firstBlock, i32.mul(i32.sub(task, i32.mul(tile, p.tasks)), p.taskBlocks));
      b.set(count, i32.minU(p.taskBlocks, i32.sub(p.blocks, firstBlock)));
      b.set(tile, i32.mul(tile, shape.tokens));
      b.set(tokens, i32.minU(shape.tokens, i32.sub(p.tokens, tile)));
      b.set(q, i32.add(p.q, i32.mul(tile, p.qStride)));
      b.set(sums32, i32.add(sums16, i32.mul(count, ROW_BLOCK * memory.vector)));
      b.run(bulk.fill(sums16, 0, i32.mul(count, ROW_BLOCK * memory.rowBytes)));
      b.for(column, 0, p.columns, COLUMN_BLOCK, () => {
        b.set(width, i32.minU(COLUMN_BLOCK, i32.sub(p.columns, column)));
        touch(b, p, place);
        transpose(b, i32.add(q, column), p.qStride, tokens, width, p.work);
        b.set(quad, i32.const(0));
        b.set(groupEnd, i32.const(0));
        b.doWhile(() => {
          b.set(groupEnd, i32.minU(i32.add(groupEnd, parts.groupQuads), i32.shrU(width, 2)));
          const pass = (quads: number, isOne: boolean): void => {
            b.run(buildTables.call(p.work, quad, quads));
            add(b, p, { ...place, quad, sums: sums16 }, isOne);
            b.increase(quad, quads);
          };
          b.doWhile(() => {
            const whole = i32.leU(i32.add(quad, shape.quads), groupEnd);
            b.if(whole, () => pass(shape.quads, false), () => pass(1, true));
          }, () => i32.ltU(quad, groupEnd));
          b.run(parts.takeOver({ sums16, sums32, column, quad, block: firstBlock, tile }, i32.mul(count, ROW_BLOCK)));
        }, () => i32.ltU(quad, i32.shrU(width, 2)));
      });
      b.set(firstBlock, i32.mul(firstBlock, ROW_BLOCK));
      const out = i32.add(p.out, i32.shl(i32.add(i32.mul(tile, p.rows), firstBlock), 2));
      const rows = i32.sub(p.rows, firstBlock);
      b.set(count, i32.mul(count, ROW_BLOCK));
      b.run(parts.write({ sums32, row: firstBlock, tile, tokens }, i32.minU(rows, count), out));
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

/** The tables of `count` quads from quad `quad` of the column block on. */
export function emitBuildTables(module: ModuleBuilder, name: string, memory: TileMemory): Func {
  const { vector } = memory;
  return module.func(name, { work: 'i32', quad: 'i32', count: 'i32' }, (b, p) => {
    const x = b.local('i32', i32.add(p.work, i32.mul(p.quad, 4 * vector)));
    const [at, end, tables] = [b.local('i32'), b.local('i32'), b.local('i32', p.work)] as const;
    const [x0, x1, sum] = b.locals('v128', 3);
    /** Of x0 and x1, in the order of the codes; none where it is 0. */
    const pairSums = (): (V128 | undefined)[] => {
      const minus = (value: V128): V128 => i16x8.sub(ZERO, value);
      return [minus(i16x8.add(x0, x1)), minus(x0), i16x8.sub(x1, x0), minus(x1), undefined, x1, i16x8.sub(x0, x1), x0, i16x8.add(x0, x1)];
    };
    const firstPair = b.locals('v128', 9);
    b.doWhile(() => {
      b.set(at, tables);
      b.set(end, i32.add(at, vector));
      b.doWhile(() => {
        const setPair = (pair: number): void => {
          b.set(x0, v128.load(x, memory.activations + 2 * pair * vector));
          b.set(x1, v128.load(x, memory.activations + (2 * pair + 1) * vector));
        };
        setPair(0);
        const first = pairSums().map((value, code) => {
          if (value) b.set(firstPair[code]!, value);
          return value && firstPair[code]!;
        });
        setPair(1);
        pairSums().forEach((second, code2) => {
          if (second) b.set(sum, second);
          first.forEach((value, code1) => {
            const entry = second ? (value ? i16x8.add(sum, value) : sum) : (value ?? ZERO);
            b.run(v128.store(at, entry, memory.tables + (16 * code2 + code1) * vector));
          });
        });
        b.increase(x, 16);
        b.increase(at, 16);
      }, () => i32.ltU(at, end));
      b.increase(x, 3 * vector);
      b.increase(tables, memory.tableBytes);
      b.increase(p.count, -1);
    }, () => p.count);
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
    const [from, entry, rowEnd] = b.locals('i32', 3);
    /** Rows that are next to each other: the additions of one do not wait for the other's. */
    const rows = Array.from({ length: 2 / vectors }, () => b.locals('v128', vectors));
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

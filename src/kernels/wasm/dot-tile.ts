import { i16x8, i32, i32x4, i8x16, v128, type V128 } from '../../wasm/instructions.js';
import type { Func, Local, ModuleBuilder } from '../../wasm/module.js';
import { emitBuildTables, type TileFunctions } from './batch.js';
import { DOT_QUAD_BYTES, ROW_GROUP } from './dot-layout.js';
import { ROW_BLOCK } from './layout.js';
import { emitTranspose, tileMemory, type TileMemory, type TileShape } from './tile.js';
import { bytes, splatByte, ZERO } from './vectors.js';

/*
 * Tiles of tokens on the packing of dot-layout.ts: the tables of partial sums of batch.ts, but that the entries' addresses are made of a row
 * group's weights beforehand, by dot products of the codes with their places, four rows at a time; then each row adds up its entries.
 */

export const DOT_TILES: readonly TileShape[] = [{ tokens: 16, quads: 16 }, { tokens: 32, quads: 16 }];

/** 3·c0 + c1 and 16 times 3·c2 + c3: the number of a quad's entry. */
const PLACES = [3, 1, 48, 16] as const;
/** Bytes of the addresses of a quad of a row group. */
const ADDRESS_BYTES = 4 * ROW_GROUP;
const CACHE_LINE = 64;

export function emitDotTileFunctions(module: ModuleBuilder, shape: TileShape): TileFunctions {
  const memory = tileMemory(shape);
  const { tokens, quads } = shape;
  const transpose = emitTranspose(module, `transpose${tokens}`, 16, memory);
  const touch = emitTouch(module, `touch${tokens}`, memory);
  const [addQuads, addQuad] = [emitAddQuads(module, `addQuads${tokens}`, quads, memory), emitAddQuads(module, `addQuad${tokens}`, 1, memory)];
  return {
    shape, memory, order: 'rows',
    transpose(b, q, stride, count, width, work) {
      b.run(transpose.call(q, stride, count, width, work));
      if (tokens > 16) b.if(i32.gtS(count, 16), () => b.run(transpose.call(i32.add(q, i32.shl(stride, 4)), stride, i32.sub(count, 16), width, i32.add(work, 32))));
    },
    buildTables: emitBuildTables(module, `buildTables${tokens}`, memory),
    touch(b, p, { block, count, column, width }) {
      const from = i32.add(p.packed, i32.add(i32.mul(block, i32.mul(p.columns, ROW_BLOCK / 4)), i32.shl(column, 2)));
      b.run(touch.call(from, i32.shl(p.columns, 2), i32.shl(width, 2), i32.mul(count, ROW_BLOCK / ROW_GROUP), p.work));
    },
    add(b, p, { block, count, column, quad, sums }, isOne) {
      const from = i32.add(p.packed, i32.add(i32.mul(block, i32.mul(p.columns, ROW_BLOCK / 4)), i32.add(i32.shl(column, 2), i32.mul(quad, DOT_QUAD_BYTES))));
      b.run((isOne ? addQuad : addQuads).call(from, i32.shl(p.columns, 2), i32.mul(count, ROW_BLOCK / ROW_GROUP), p.work, sums));
    },
  };
}

/** Loads `length` bytes of each of `count` row groups, `stride` bytes apart. */
function emitTouch(module: ModuleBuilder, name: string, memory: TileMemory): Func {
  return module.func(name, { from: 'i32', stride: 'i32', length: 'i32', count: 'i32', work: 'i32' }, (b, p) => {
    const [line, end, touched] = b.locals('i32', 3);
    b.doWhile(() => {
      b.set(line, p.from);
      b.set(end, i32.add(line, p.length));
      b.doWhile(() => {
        b.set(touched, i32.or(touched, i32.load(line)));
        b.increase(line, CACHE_LINE);
      }, () => i32.ltU(line, end));
      b.increase(p.from, p.stride);
      b.increase(p.count, -1);
    }, () => p.count);
    b.run(i32.store(p.work, touched, memory.touched)); // so that the loads are not dropped
  });
}

/** row[r] += the entries that a row's codes name, for `quads` quads and `count` row groups, each `stride` bytes after the last. */
function emitAddQuads(module: ModuleBuilder, name: string, quads: number, memory: TileMemory): Func {
  const makeAddresses = emitMakeAddresses(module, `${name}Addresses`, quads, memory);
  const { vector } = memory;
  return module.func(name, { w: 'i32', stride: 'i32', count: 'i32', work: 'i32', row: 'i32' }, (b, { w, stride, count, work, row }) => {
    const [at, entry, rowEnd] = b.locals('i32', 3);
    /** Rows that are next to each other: the additions of one do not wait for the other's. */
    const rows = Array.from({ length: Math.max(1, 32 / vector) }, () => b.locals('v128', vector / 16));
    const sums = rows.flat();
    b.doWhile(() => {
      b.run(makeAddresses.call(w, work));
      b.set(at, work);
      b.set(rowEnd, i32.add(row, ROW_GROUP * vector));
      b.doWhile(() => {
        sums.forEach((sum, n) => b.set(sum, v128.load(row, n * 16)));
        for (let quad = 0; quad < quads; quad++) {
          rows.forEach((sumsOfRow, r) => {
            b.set(entry, i32.load(at, memory.addresses + quad * ADDRESS_BYTES + 4 * r));
            sumsOfRow.forEach((sum, n) => b.set(sum, i16x8.add(sum, v128.load(entry, memory.tables + quad * memory.tableBytes + 16 * n))));
          });
        }
        sums.forEach((sum, n) => b.run(v128.store(row, sum, n * 16)));
        b.increase(at, 4 * rows.length);
        b.increase(row, sums.length * 16);
      }, () => i32.ltU(row, rowEnd));
      b.increase(w, stride);
      b.increase(count, -1);
    }, () => count);
  });
}

/** The addresses of the entries of 16 rows, without the tables' own: [quad][row]. */
function emitMakeAddresses(module: ModuleBuilder, name: string, quads: number, memory: TileMemory): Func {
  return module.func(name, { w: 'i32', work: 'i32' }, (b, p) => {
    const [w, codes, entries, places] = [b.local('v128'), b.local('v128'), b.local('v128'), b.local('v128', bytes((n) => PLACES[n & 3]!))] as const;
    const masks = [0x03, 0x0c, 0x30, 0x60].map((mask) => b.local('v128', splatByte(mask))) as [Local<'v128'>, Local<'v128'>, Local<'v128'>, Local<'v128'>];
    const [zero, to, end] = [b.local('v128', ZERO), b.local('i32', p.work), b.local('i32', i32.add(p.work, quads * ADDRESS_BYTES))] as const;
    /** Codes times so many as a power of two, to the bytes of an entry. */
    const fields: readonly (readonly [value: V128, bits: number])[] = [
      [i8x16.avgrU(v128.and(w, masks[0]), zero), 0], [v128.and(w, masks[1]), 2], [v128.and(w, masks[2]), 4], [v128.and(i8x16.avgrU(w, masks[1]), masks[3]), 5],
    ];
    const starts = fields.map(([, bits]) => {
      const up = Math.log2(memory.vector) - bits;
      return { up, start: b.local('v128', i32x4.splat(up < 0 ? i32.shl(p.work, -up) : i32.shrU(p.work, up))) };
    });
    b.doWhile(() => {
      b.set(w, v128.load(p.w));
      fields.forEach(([value], f) => {
        const { up, start } = starts[f]!;
        b.set(codes, value);
        b.set(entries, i32x4.relaxedDotAdd(places, codes, start));
        b.run(v128.store(to, up === 0 ? entries : up < 0 ? i32x4.shrU(entries, -up) : i32x4.shl(entries, up), memory.addresses + 16 * f));
      });
      b.increase(p.w, DOT_QUAD_BYTES);
      b.increase(to, ADDRESS_BYTES);
    }, () => i32.ltU(to, end));
  });
}

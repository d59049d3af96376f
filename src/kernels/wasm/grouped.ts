import { f32, f32x4, i16x8, i32, i32x4, memory as bulk, v128, type V128 } from '../../wasm/instructions.js';
import type { Func, ModuleBuilder, Parameters } from '../../wasm/module.js';
import { ACTIVATION_GROUP } from '../kernels.js';
import { emitTile, TILE_ARGUMENTS, type TileFunctions } from './batch.js';
import { UNITS, WORK_BYTES } from './jobs.js';
import { LOOK_UP_PLACES, panelBlocks, ROW_BLOCK } from './layout.js';
import { emitPackGroups, emitPackGroupVectors, packGroups, PACK_GROUPS_PARAMETERS } from './pack-groups.js';
import { biasOf, createLookUps, emitRows, QUAD_TABLE_BYTES } from './lookup.js';
import type { Multiplier } from './multiply.js';
import type { GroupedCalls } from './products.js';
import type { Runner } from './runner.js';
import { emitWrite } from './tile.js';
import { unpackRow } from './unpack.js';
import { ZERO } from './vectors.js';

/*
 * Ternary products whose scales are for groups of columns (`TransformerKernels.groupedMatmul`): those of lookup.ts and batch.ts, but
 * that the sums of each group become float32 at once, and are scaled. Groups are of 32, 64 or 128 columns, so that a column block
 * begins with one. The scales of a group are those of all rows, one after another; what vectors read beyond the last row is not used.
 */

/** In the order in which products for one token have theirs (`ROWS_PARAMETERS`). */
const ROWS = {
  packed: 'i32', blocks: 'i32', panelBlocks: 'i32', columns: 'i32', q: 'i32', rows: 'i32', scales: 'i32', qScales: 'i32', out: 'i32',
  next: 'i32', nextPanel: 'i32', nextEnd: 'i32', group: 'i32', ...UNITS,
} as const;
const TILE = { ...TILE_ARGUMENTS, group: 'i32', ...UNITS } as const;

export const GROUPED_PARAMETERS = { groupedRows: ROWS, groupedTile8: TILE, groupedTile16: TILE, packGroups: PACK_GROUPS_PARAMETERS } as const satisfies Record<string, Parameters>;

export type GroupedKernelName = keyof typeof GROUPED_PARAMETERS;

/** What JavaScript calls. */
export function callsOn(runner: Runner, multiplyBy: Multiplier): GroupedCalls {
  const panel = (rows: number): number => panelBlocks(rows, runner.threads);
  return {
    unpackRow: ({ packed, rows, columns }, row, trits) => unpackRow(packed as Uint8Array, rows, columns, panel(rows), row, trits),
    packGroups: (matrix, ...rest) => packGroups(runner, panel(matrix.rows), matrix, ...rest),
    multiply: multiplyBy('grouped'),
  };
}

/** What ternary products by look-up are made of. */
export interface ProductParts {
  readonly relaxed: boolean;
  /** Tables for one token. */
  readonly buildTables: Func;
  readonly tiles: readonly TileFunctions[];
}

/** In the order of `GROUPED_PARAMETERS`. */
export function emitGrouped(module: ModuleBuilder, products: ProductParts): Func[] {
  return [emitGroupedRows(module, products), ...products.tiles.map((functions) => emitGroupedTile(module, functions)), emitPackGroups(module, LOOK_UP_PLACES, emitPackGroupVectors)];
}

const ACTIVATION_SHIFT = Math.log2(ACTIVATION_GROUP);
/** Bytes of a column's share of the tables of its quad. */
const COLUMN_TABLE_BYTES = QUAD_TABLE_BYTES / 4;

/** acc += sum · (weight scale · activation scale), on four rows. */
function addScaled(acc: V128, sums: V128, scale: V128): V128 {
  return f32x4.add(acc, f32x4.mul(f32x4.convertI32x4S(sums), scale));
}

function emitGroupedRows(module: ModuleBuilder, { relaxed, buildTables }: ProductParts): Func {
  const addGroups = emitAddGroups(module, relaxed);
  return emitRows(module, 'groupedRows', ROWS, buildTables, (p) => ({
    addBlock({ weights, column, width, count, row, sums }) {
      const rowBytes = i32.shl(p.rows, 2);
      const scales = i32.add(i32.add(p.scales, i32.mul(i32.divU(column, p.group), rowBytes)), i32.shl(row, 2));
      const qScales = i32.add(p.qScales, i32.shl(i32.shrU(column, ACTIVATION_SHIFT), 2));
      return addGroups.call(weights, p.work, width, count, sums, scales, rowBytes, i32.mul(p.group, COLUMN_TABLE_BYTES), qScales);
    },
    write: (sums, row, end) =>
      bulk.copy(i32.add(p.out, i32.shl(row, 2)), sums, i32.shl(i32.sub(i32.minU(end, p.rows), row), 2)),
  }));
}

/**
 * sums[r] += Σ over the groups of one column block of `width` columns, for `count` row blocks that follow one another.
 * scales: of the first group and row; `rowBytes` from one group to the next. groupBytes: of the tables of a group.
 */
function emitAddGroups(module: ModuleBuilder, relaxed: boolean): Func {
  return module.func('addGroups', {
    w: 'i32', tables: 'i32', width: 'i32', count: 'i32', sums: 'i32', scales: 'i32', rowBytes: 'i32', groupBytes: 'i32', qScales: 'i32',
  }, (b, p) => {
    const [table, scale, groupEnd] = b.locals('i32', 3);
    const tablesEnd = b.local('i32', i32.add(p.tables, i32.mul(p.width, COLUMN_TABLE_BYTES)));
    const [bias, qScale] = b.locals('v128', 2);
    const lookUps = createLookUps(b, p.w, table, relaxed);
    b.doWhile(() => {
      b.set(table, p.tables);
      b.set(scale, p.scales);
      b.doWhile(() => {
        const done = i32.sub(table, p.tables);
        b.set(groupEnd, i32.minU(i32.add(table, p.groupBytes), tablesEnd));
        b.set(bias, i16x8.splat(biasOf(i32.shrU(i32.sub(groupEnd, table), Math.log2(COLUMN_TABLE_BYTES)))));
        b.set(qScale, v128.load32Splat(i32.add(p.qScales, i32.shl(i32.shrU(done, Math.log2(COLUMN_TABLE_BYTES) + ACTIVATION_SHIFT), 2))));
        lookUps.sumUp(groupEnd, bias, (values, first) => [i32x4.extendLowI16x8S, i32x4.extendHighI16x8S].forEach((extend, half) => {
          const at = 4 * first + 16 * half;
          b.run(v128.store(p.sums, addScaled(v128.load(p.sums, at), extend(values), f32x4.mul(v128.load(scale, at), qScale)), at));
        }));
        b.increase(scale, p.rowBytes);
      }, () => i32.ltU(table, tablesEnd));
      b.increase(p.sums, ROW_BLOCK * 4);
      b.increase(p.scales, ROW_BLOCK * 4);
      b.increase(p.count, -1);
    }, () => p.count);
  });
}

/** In the work space of a task: the scale of each token, of one group. */
const TOKEN_SCALES = WORK_BYTES - 128;

export function emitGroupedTile(module: ModuleBuilder, functions: TileFunctions): Func {
  const { tokens } = functions.shape;
  const scaleGroup = emitScaleGroup(module, `scaleGroup${tokens}`, functions);
  const write = emitWrite(module, `writeScaled${tokens}`, functions.shape, functions.order, true);
  return emitTile(module, `groupedTile${tokens}`, TILE, functions, (p) => ({
    groupQuads: i32.shrU(p.group, 2),
    takeOver({ sums16, sums32, column, quad, block, tile }, rows) {
      const lastColumn = i32.sub(i32.add(column, i32.shl(quad, 2)), 1); // of the group
      const scales = i32.add(p.scales, i32.shl(i32.add(i32.mul(i32.divU(lastColumn, p.group), p.rows), i32.mul(block, ROW_BLOCK)), 2));
      const perToken = i32.shrU(i32.add(p.columns, ACTIVATION_GROUP - 1), ACTIVATION_SHIFT);
      const qScales = i32.add(p.qScales, i32.shl(i32.add(i32.mul(tile, perToken), i32.shrU(lastColumn, ACTIVATION_SHIFT)), 2));
      return scaleGroup.call(sums16, sums32, rows, scales, qScales, perToken, i32.sub(p.tokens, tile), i32.add(p.work, TOKEN_SCALES));
    },
    write: ({ sums32, tokens: count }, rows, out) => write.call(sums32, rows, p.rows, 0, 0, count, out),
  }));
}

/** sums32 += sums16 · scales, and sums16 = 0, for `rows` rows: whole row blocks. */
function emitScaleGroup(module: ModuleBuilder, name: string, { shape, memory, order }: TileFunctions): Func {
  const { vector } = memory;
  /** Of two rows that are next to each other, and of two pairs, how far their scales are apart. */
  const [apart, step, span] = order === 'rows' ? [4, 8, 4 * ROW_BLOCK] : [32, 4, 32];
  return module.func(name, {
    sums16: 'i32', sums32: 'i32', rows: 'i32', scales: 'i32', qScales: 'i32', perToken: 'i32', tokens: 'i32', to: 'i32',
  }, (b, p) => {
    const t = b.local('i32');
    const qScale = b.locals('v128', shape.tokens / 4);
    const [sums, scale, end, half] = [b.local('v128'), b.local('v128'), b.local('i32'), b.local('i32')] as const;
    // Tokens that are missing repeat the last one.
    b.for(t, 0, shape.tokens, 1, () => {
      b.run(f32.store(i32.add(p.to, i32.shl(t, 2)), f32.load(p.qScales)));
      b.increase(p.qScales, i32.select(i32.shl(p.perToken, 2), 0, i32.ltU(i32.add(t, 1), p.tokens)));
    });
    qScale.forEach((value, n) => b.set(value, v128.load(p.to, 16 * n)));
    b.set(end, i32.add(p.sums16, i32.mul(p.rows, vector)));
    b.doWhile(() => {
      b.set(half, i32.add(p.scales, span));
      b.doWhile(() => {
        for (const row of [0, 1]) {
          b.set(scale, v128.load32Splat(p.scales, apart * row));
          for (let n = 0; n < vector / 16; n++) {
            b.set(sums, v128.load(p.sums16, row * vector + 16 * n));
            b.run(v128.store(p.sums16, ZERO, row * vector + 16 * n));
            [i32x4.extendLowI16x8S, i32x4.extendHighI16x8S].forEach((extend, part) => {
              const at = 2 * row * vector + 32 * n + 16 * part;
              b.run(v128.store(p.sums32, addScaled(v128.load(p.sums32, at), extend(sums), f32x4.mul(scale, qScale[2 * n + part]!)), at));
            });
          }
        }
        b.increase(p.sums16, 2 * vector);
        b.increase(p.sums32, 4 * vector);
        b.increase(p.scales, step);
      }, () => i32.ltU(p.scales, half));
      if (order === 'bytes') b.increase(p.scales, span);
    }, () => i32.ltU(p.sums16, end));
  });
}

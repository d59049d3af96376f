import type { TernaryMatrix } from '../kernels.js';
import { emitTernaryTile, emitTileFunctions } from './batch.js';
import { clearPadding, LOOK_UP_PLACES, packedBytes, packRow, paddedColumns, panelBlocks, ROW_BLOCK, rowBlocks } from './layout.js';
import { emitBuildTables, emitTernaryRows, ROWS_PARAMETERS } from './lookup.js';
import { multiplierOf, multiplyTiles, tileParameters, type Multiply } from './multiply.js';
import { emitPackBlocks, emitPackVectors, PACK_PARAMETERS, packBlocks } from './pack.js';
import type { Products } from './products.js';
import type { Runner } from './runner.js';

/** Token tiles, widest last. */
export const TILES = [{ tokens: 8, quads: 16 }, { tokens: 16, quads: 16 }] as const;

/** From so many tokens on, a tile of eight is as fast as one after another (relaxed, one thread), or faster. */
const MIN_TILE_TOKENS = 4;
/** Up to so many, a tile of eight and one or two alone are faster than a tile of sixteen. */
const MAX_EIGHT_TOKENS = 10;

/**
 * Products by look-up and additions.
 * @param relaxed whether with relaxed SIMD's swizzle, which takes half the instructions on x86.
 * @param grouped where products with scales for groups of columns are wanted.
 */
export function lookUpProducts(relaxed: boolean, grouped?: typeof import('./grouped.js')): Products {
  return {
    parameters: {
      ternaryRows: ROWS_PARAMETERS,
      ...tileParameters(TILES),
      packBlocks: PACK_PARAMETERS,
      ...grouped?.GROUPED_PARAMETERS,
    },
    emit(module) {
      const buildTables = emitBuildTables(module);
      const tiles = TILES.map((tile) => emitTileFunctions(module, tile));
      return [
        emitTernaryRows(module, buildTables, relaxed), ...tiles.map((functions) => emitTernaryTile(module, functions)),
        emitPackBlocks(module, LOOK_UP_PLACES, emitPackVectors),
        ...(grouped?.emitGrouped(module, { relaxed, buildTables, tiles }) ?? []),
      ];
    },
    on(runner) {
      const panel = (rows: number): number => panelBlocks(rows, runner.threads);
      const multiplyBy = multiplierOf(runner, multiply);
      return {
        clearPadding: (packed, rows, columns) => clearPadding(packed, rows, columns, panel(rows)),
        packRow: ({ packed, rows, columns }, row, trits) => packRow(packed as Uint8Array, rows, columns, panel(rows), row, trits),
        packBlocks: (matrix, ...rest) => packBlocks(runner, panel(matrix.rows), matrix, ...rest),
        multiply: multiplyBy('ternary'),
        grouped: grouped?.callsOn(runner, multiplyBy),
      };
    },
  };
}

/** By `<prefix>Rows` and `<prefix>Tile8`, `…16`. */
const multiply: Multiply = (runner, prefix, matrix, q, qScales, tokens, out, scaleBytes, group) => {
  const { rows, columns } = matrix;
  let t = 0;
  while (tokens - t >= MIN_TILE_TOKENS) {
    const left = tokens - t;
    // Whole tiles of 16, then one for the rest.
    const width = left > MAX_EIGHT_TOKENS ? 16 : 8;
    const count = left >= 16 ? left - (left % 16) : Math.min(left, width);
    multiplyTiles(runner, prefix, matrix, width, panelBlocks(rows, runner.threads), q + t * columns, qScales + scaleBytes * t, count, out + 4 * t * rows, group);
    t += count;
  }
  for (; t < tokens; t++) multiplyToken(runner, prefix, matrix, q + t * columns, qScales + scaleBytes * t, out + 4 * t * rows, group);
};

function multiplyToken({ at, threads, call, nextOf }: Runner, prefix: string, matrix: TernaryMatrix, q: number, qScales: number, out: number, group: number): void {
  const { rows, columns, packed, scales } = matrix;
  const blocks = rowBlocks(rows);
  const panel = panelBlocks(rows, threads);
  const next = nextOf(matrix);
  const nextAt = next ? at(next.packed) : 0;
  call(`${prefix}Rows`, [
    at(packed), blocks, panel, paddedColumns(columns), q, rows, at(scales), qScales, out,
    nextAt, next ? packedBytes(panelBlocks(next.rows, threads) * ROW_BLOCK, next.columns) : 0, next ? nextAt + next.packed.length : 0, group,
  ], Math.ceil(blocks / panel), 1, rows * columns);
}

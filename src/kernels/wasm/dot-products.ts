import type { TernaryMatrix } from '../kernels.js';
import { emitTernaryTile } from './batch.js';
import { clearDotPadding, DOT_PLACES, packDotRow, ROW_GROUP } from './dot-layout.js';
import { emitDotVectors } from './dot-pack.js';
import { DOT_PARAMETERS, emitDotPair, emitDotRows, emitDotFunctions, MAX_DOT_TOKENS } from './dot-rows.js';
import { DOT_TILES, emitDotTileFunctions } from './dot-tile.js';
import { emitPackBlocks, PACK_PARAMETERS, packBlocks } from './pack.js';
import { paddedColumns } from './layout.js';
import { multiplierOf, multiplyTiles, tileParameters, type Multiply } from './multiply.js';
import type { Products } from './products.js';
import type { Runner } from './runner.js';

/** Bytes of weights that a thread should have at least before it takes a break: shorter streams are slower. */
const MIN_SHARE_BYTES = 1 << 18;

/**
 * From so many tokens on, a tile of 16, or of 32, is faster than one token after another, or than a tile of 16 and the rest. Reckoned from what
 * whole ones reach (bench/README.md): one after another 105 GMAC/s, 16 in a tile 130, 32 in a tile 150.
 */
const [MIN_TILE_16, MIN_TILE_32] = [13, 27];

/**
 * Products by dot products.
 * @param grouped where products with scales for groups of columns are wanted.
 */
export function dotProducts(grouped?: typeof import('./dot-grouped.js')): Products {
  return {
    parameters: { ternaryRows: DOT_PARAMETERS, ternaryPair: DOT_PARAMETERS, ...tileParameters(DOT_TILES), packBlocks: PACK_PARAMETERS, ...grouped?.DOT_GROUPED_PARAMETERS },
    emit(module) {
      const functions = emitDotFunctions(module);
      const tiles = DOT_TILES.map((tile) => emitDotTileFunctions(module, tile));
      return [
        emitDotRows(module, functions), emitDotPair(module, functions), ...tiles.map((tile) => emitTernaryTile(module, tile)),
        emitPackBlocks(module, DOT_PLACES, emitDotVectors), ...(grouped?.emitDotGrouped(module, functions, tiles) ?? []),
      ];
    },
    on(runner) {
      const multiplyBy = multiplierOf(runner, multiply);
      return {
        clearPadding: clearDotPadding,
        packRow: ({ packed, columns }, row, trits) => packDotRow(packed as Uint8Array, columns, row, trits),
        packBlocks: (...args) => packBlocks(runner, 1, ...args),
        multiply: multiplyBy('ternary'),
        grouped: grouped?.callsOn(runner, multiplyBy),
      };
    },
  };
}

/** By `<prefix>Rows`, `<prefix>Tile16` and `…32`; and `ternaryPair`. */
const multiply: Multiply = (runner, prefix, matrix, q, qScales, tokens, out, scaleBytes, group) => {
  const { rows, columns } = matrix;
  for (let t = 0; t < tokens; ) {
    const left = tokens - t;
    const at = [q + t * columns, qScales + scaleBytes * t] as const;
    const width = left >= MIN_TILE_32 ? 32 : 16;
    const inTiles = left < MIN_TILE_16 ? 0 : left < width ? left : left - (left % width);
    const few = Math.ceil(left / Math.ceil(left / MAX_DOT_TOKENS));
    if (inTiles > 0) multiplyTiles(runner, prefix, matrix, width, 1, ...at, inTiles, out + 4 * t * rows, group);
    else multiplyFew(runner, prefix, matrix, ...at, few, out + 4 * t * rows, group);
    t += inTiles || few;
  }
};

/** Row groups of a chunk: a share of each thread, or several where it is long. */
function shareOf({ threads }: Runner, { rows, columns }: TernaryMatrix): number {
  const groups = Math.ceil(rows / ROW_GROUP);
  const each = Math.ceil(groups / threads);
  const parts = Math.max(1, Math.min(4, Math.floor((each * 4 * columns) / MIN_SHARE_BYTES)));
  return Math.ceil(each / parts);
}

function multiplyFew(
  runner: Runner, prefix: string, matrix: TernaryMatrix, q: number, qScales: number, tokens: number, out: number, group: number,
): void {
  const { rows, columns, packed, scales } = matrix;
  const { at, call, nextOf } = runner;
  const share = shareOf(runner, matrix);
  const next = nextOf(matrix);
  call(`${prefix}${tokens === 2 && prefix === 'ternary' ? 'Pair' : 'Rows'}`, [
    at(packed), rows, columns, q, tokens, at(scales), qScales, out,
    next ? at(next.packed) : 0, next ? Math.ceil(next.rows / ROW_GROUP) : 0, next ? paddedColumns(next.columns) : 0, next ? shareOf(runner, next) : 0, share, group,
  ], Math.ceil(rows / ROW_GROUP), share, rows * columns * tokens);
}

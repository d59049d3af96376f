import { ACTIVATION_GROUP, type GroupedMatrix, type TernaryMatrix } from '../kernels.js';
import { TILE_PARAMETERS } from './batch.js';
import { paddedColumns, rowBlocks } from './layout.js';
import type { Products } from './products.js';
import type { Runner } from './runner.js';
import type { TileShape } from './tile.js';

/* What JavaScript calls for a product, as far as look-ups and dot products have it in common. */

/** Row blocks of a task of the token tiles, at most: their sums should stay in the second-level cache. */
const TILE_TASK_BLOCKS = 64;

export function tileParameters(tiles: readonly TileShape[]): Products['parameters'] {
  return Object.fromEntries(tiles.map(({ tokens }) => [`ternaryTile${tokens}`, TILE_PARAMETERS]));
}

/**
 * A product by kernels whose names begin with `prefix`: of the activations at `q`, `scaleBytes` of their scales a token.
 * @param group the last argument of those that are grouped.
 */
export type Multiply = (
  runner: Runner, prefix: string, matrix: TernaryMatrix, q: number, qScales: number, tokens: number, out: number, scaleBytes: number, group: number,
) => void;

/** Products by `multiply`, on views. */
export type Multiplier = (prefix: 'ternary' | 'grouped') => (matrix: TernaryMatrix | GroupedMatrix, q: Int8Array, qScales: Float32Array, tokens: number, out: Float32Array) => void;

export function multiplierOf(runner: Runner, multiply: Multiply): Multiplier {
  return (prefix) => (matrix, q, qScales, tokens, out) => {
    const [scales, group] = 'group' in matrix ? [Math.ceil(matrix.columns / ACTIVATION_GROUP), matrix.group] : [1, 0];
    multiply(runner, prefix, matrix, runner.at(q), runner.at(qScales), tokens, runner.at(out), 4 * scales, group);
  };
}

/** `tokens` tokens in tiles of `width`, on tasks of a whole number of panels. */
export function multiplyTiles(
  { at, threads, call, isShared }: Runner, prefix: string, matrix: TernaryMatrix, width: number, panel: number, q: number, qScales: number, tokens: number, out: number, group: number,
): void {
  const { rows, columns, packed, scales } = matrix;
  const blocks = rowBlocks(rows);
  const tiles = Math.ceil(tokens / width);
  const work = rows * columns * tokens;
  const even = isShared(work) ? Math.ceil(blocks / Math.ceil(threads / tiles)) : blocks;
  const taskBlocks = Math.max(1, Math.floor(Math.min(even, TILE_TASK_BLOCKS) / panel)) * panel;
  const tasks = Math.ceil(blocks / taskBlocks);
  call(`${prefix}Tile${width}`, [
    at(packed), blocks, panel, paddedColumns(columns), q, columns, qScales, tokens, rows, at(scales), out, taskBlocks, tasks, group,
  ], tiles * tasks, 1, work);
}

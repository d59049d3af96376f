import { ArgumentError } from '../../errors.js';
import type { FloatType } from '../../formats/floats.js';
import type { Arena } from '../arena.js';
import { checkGroup } from '../group.js';
import { PAGE_POSITIONS, type KeyValuePages, type PageTable, type TransformerKernels } from '../kernels.js';
import { STORED } from './half.js';
import type { GroupedCalls, ProductCalls } from './products.js';
import type { Runner } from './runner.js';
import { unitTokens } from './attention.js';
import { emitTransformer, TRANSFORMER_PARAMETERS } from './transformer-emit.js';

/** What a window without end is for kernels. */
const NO_WINDOW = 0x3fffffff;

export { emitTransformer, TRANSFORMER_PARAMETERS };

/**
 * The kernels of Transformers on a module that has them.
 * @param allocate gives memory for a matrix's packed weights.
 */
export function createWasmTransformer(
  { at, call, elements }: Runner, { packRow }: ProductCalls, grouped: GroupedCalls, allocate: (arena: Arena, rows: number, columns: number) => Uint8Array,
): TransformerKernels {
  const rowsOf = ({ pages, firstPage, row, position }: PageTable): [pages: number, firstPage: number, row: number, position: number] =>
    [at(pages), firstPage, row, position];
  const memoryOf = ({ elements: cells, pageElements, kvHeads, headDim }: KeyValuePages): number[] =>
    [at(cells), pageElements * cells.BYTES_PER_ELEMENT, kvHeads, headDim, cells.BYTES_PER_ELEMENT === 2 ? 1 : 0];
  return {
    quantize(x, width, tokens, q, qScales) {
      elements('quantize', [at(x), width, at(q), at(qScales)], tokens, tokens * width);
    },
    quantizeGroups(x, width, tokens, q, qScales) {
      elements('quantizeGroups', [at(x), width, at(q), at(qScales)], tokens, tokens * width);
    },
    createGrouped(arena, rows, columns, group) {
      checkGroup(columns, group);
      return { rows, columns, group, packed: allocate(arena, rows, columns), scales: arena.f32(Math.ceil(columns / group) * rows) };
    },
    packGroupedRow: packRow,
    packGroups: grouped.packGroups,
    unpackRow: grouped.unpackRow,
    groupedMatmul: grouped.multiply,
    glu(a, b, activation, count, out) {
      elements('glu', [at(a), at(b), activation === 'silu' ? 1 : 0, at(out)], count, count);
    },
    rotate(x, heads, headDim, pairs, angles, tokens) {
      elements('rotate', [at(x), heads, headDim, pairs, at(angles)], tokens, tokens * heads * headDim);
    },
    storeKeysValues(keys, values, pages, table) {
      const [list, firstPage, row, position] = rowsOf(table);
      elements('storeKeysValues', [at(keys), at(values), ...memoryOf(pages), list, firstPage, row, position], table.tokens, 2 * table.tokens * pages.kvHeads * pages.headDim);
    },
    attention(q, heads, pages, table, window, out) {
      const { kvHeads, headDim } = pages;
      const { tokens, position } = table;
      const [list, firstPage, row] = rowsOf(table);
      const together = unitTokens(heads / kvHeads, headDim);
      if (together === 0) {
        throw new ArgumentError(`attention: heads of ${headDim}, ${heads / kvHeads} to a kv head, are more than the kernels take`);
      }
      const scale = Math.fround(1 / Math.fround(Math.sqrt(headDim)));
      const limit = Math.min(window, NO_WINDOW);
      const [cells, pageBytes, , , isHalf] = memoryOf(pages) as [number, number, number, number, number];
      const units = kvHeads * Math.ceil(tokens / together);
      const work = 2 * tokens * heads * headDim * Math.min(position + tokens, limit + PAGE_POSITIONS);
      call('attention', [at(q), heads, cells, pageBytes, kvHeads, headDim, isHalf, list, firstPage, row, tokens, position, limit, { f32: scale }, at(out), together],
        units, 1, work);
    },
    floatMatmul(bytes, type: FloatType, rows, x, columns, tokens, out) {
      const units = Math.ceil(rows / 4);
      call('floatMatmul', [at(bytes), STORED[type], rows, at(x), columns, tokens, at(out)], units, 0, rows * columns * tokens);
    },
  };
}

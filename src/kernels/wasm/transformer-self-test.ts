import { float16ToNumber, FLOAT_BYTES, type FloatType } from '../../formats/floats.js';
import type { Arena } from '../arena.js';
import { ACTIVATION_GROUP, PAGE_POSITIONS, type GroupBlockType, type Kernels, type KeyValuePages, type PageTable } from '../kernels.js';
import { createScalarTransformer } from '../scalar/transformer.js';
import { likeScalar, sameBytes, type Check } from './self-test.js';
import type { DOT_GROUPED_PARAMETERS } from './dot-grouped.js';
import type { GroupedKernelName } from './grouped.js';
import type { TransformerKernelName } from './transformer-emit.js';

/* Checks of the kernels that only modules for Transformers have: see self-test.ts. */

const TOKENS = 11;
const [KV_HEADS, HEAD_DIM, PAIRS] = [2, 20, 9];
/** Seven to a kv head: four, two and one together. */
const HEADS = 14;
const WIDTH = 47;

type Floats = (length: number, size?: number) => Float32Array;

/** Keys and values of one sequence, in pages of which the second lies before the first. */
function remember({ transformer }: Kernels, arena: Arena, floats: Floats, isHalf: boolean): { pages: KeyValuePages; table: PageTable } {
  const pageElements = 2 * KV_HEADS * HEAD_DIM * PAGE_POSITIONS;
  const pages = { elements: isHalf ? arena.u16(2 * pageElements) : arena.f32(2 * pageElements), pageElements, kvHeads: KV_HEADS, headDim: HEAD_DIM };
  const position = PAGE_POSITIONS - 4;
  const table = { row: 0, tokens: TOKENS, position, pages: arena.u32(2), firstPage: 0 };
  table.pages.set([1, 0]);
  const before = { ...table, tokens: position, position: 0 };
  for (const each of [before, table]) {
    const length = each.tokens * KV_HEADS * HEAD_DIM;
    transformer!.storeKeysValues(floats(length, 2), floats(length), pages, each);
  }
  return { pages, table };
}

function attend(isHalf: boolean, window: number): Check {
  return likeScalar((kernels, arena, floats) => {
    const { pages, table } = remember(kernels, arena, floats, isHalf);
    const [q, out, last] = [floats(TOKENS * HEADS * HEAD_DIM), arena.f32(TOKENS * HEADS * HEAD_DIM), arena.f32(HEADS * HEAD_DIM)];
    kernels.transformer!.attention(q, HEADS, pages, table, window, out);
    // One token alone reads float16 as it is.
    kernels.transformer!.attention(q, HEADS, pages, { ...table, tokens: 1, position: table.position + TOKENS - 1 }, window, last);
    return [out, last];
  });
}

function multiplyFloats(type: FloatType): Check {
  return likeScalar((kernels, arena, floats) => {
    const rows = 11;
    const [x, out, one] = [floats(TOKENS * WIDTH), arena.f32(TOKENS * rows), arena.f32(rows)];
    const table = arena.u8(rows * WIDTH * FLOAT_BYTES[type]);
    const words = type === 'F32' ? floats(rows * WIDTH) : Uint16Array.from(floats(rows * WIDTH), (value) => 0x3c00 + 900 * value); // any finite numbers
    table.set(new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
    kernels.transformer!.floatMatmul(table, type, rows, x, WIDTH, TOKENS, out);
    kernels.transformer!.floatMatmul(table, type, rows, x, WIDTH, 1, one);
    return [out, one];
  });
}

/** Two row blocks and a column block and a half, the last group not full. */
const [GROUPED_ROWS, GROUPED_COLUMNS] = [35, 372];

function multiplyGroups(group: number, ...tokens: readonly number[]): Check {
  return likeScalar(({ transformer }, arena, floats) => {
    const matrix = transformer!.createGrouped(arena, GROUPED_ROWS, GROUPED_COLUMNS, group);
    matrix.scales.set(floats(matrix.scales.length));
    for (let row = 0; row < GROUPED_ROWS; row++) {
      const trits = Int8Array.from(floats(GROUPED_COLUMNS, 1.5), (value) => Math.max(-1, Math.min(1, Math.round(value))));
      transformer!.packGroupedRow(matrix, row, row % 5 === 0 ? trits.fill(1) : trits);
    }
    const groups = Math.ceil(GROUPED_COLUMNS / ACTIVATION_GROUP);
    return tokens.map((count) => {
      const [q, qScales, out] = [arena.i8(count * GROUPED_COLUMNS), floats(count * groups), arena.f32(count * GROUPED_ROWS)];
      floats(q.length, 127).forEach((value, n) => { q[n] = Math.max(-127, Math.min(127, value)); });
      q.fill(127, 0, GROUPED_COLUMNS);
      transformer!.groupedMatmul(matrix, q, qScales, count, out);
      return out;
    });
  });
}

/** Bytes of codes of a block, weights of a byte, and what codes are. */
const GROUP_BLOCKS: Readonly<Record<GroupBlockType, { readonly codes: number; readonly perByte: number; readonly codeOf: (trit: number) => number }>> = {
  Q1_0: { codes: 16, perByte: 8, codeOf: (trit) => (trit > 0 ? 1 : 0) },
  Q2_0: { codes: 16, perByte: 4, codeOf: (trit) => trit + 1 },
  PQ2_0: { codes: 32, perByte: 4, codeOf: (trit) => trit + 1 },
};

/** Blocks come to the bytes of `packGroupedRow`, and those that must be decoded are refused (TransformerKernels.packGroups). */
function packGroups(type: GroupBlockType, group: number): Check {
  const { codes, perByte, codeOf } = GROUP_BLOCKS[type];
  const columns = 3 * ACTIVATION_GROUP;
  const [blocks, bits] = [columns / (codes * perByte), 8 / perByte];
  const rowBytes = blocks * (2 + codes);
  return likeScalar(({ transformer }, arena, floats) => {
    const matrix = transformer!.createGrouped(arena, GROUPED_ROWS, columns, group);
    const bytes = new Uint8Array(GROUPED_ROWS * rowBytes);
    let zeros = 0;
    for (let row = 0; row < GROUPED_ROWS; row++) {
      const trits = Int8Array.from(floats(columns), (value) => (perByte === 8 ? (value > 0 ? 1 : -1) : Math.max(-1, Math.min(1, Math.round(1.5 * value)))));
      if (perByte === 4 && row % 3 === 0) trits.fill(0, ACTIVATION_GROUP, 2 * ACTIVATION_GROUP);
      for (let c = 0; c < columns; c++) {
        const block = Math.floor(c / (codes * perByte));
        const at = row * rowBytes + block * (2 + codes) + 2 + Math.floor((c % (codes * perByte)) / perByte);
        bytes[at]! |= codeOf(trits[c]!) << (bits * (c % perByte));
        if (trits[c] === 0) zeros++;
      }
      for (let g = 0; g < columns / group; g++) {
        const half = 0x3000 + 37 * row + 5 * g;
        for (let c = g * group; c < (g + 1) * group; c += codes * perByte) {
          bytes.set([half & 255, half >> 8], row * rowBytes + Math.floor(c / (codes * perByte)) * (2 + codes));
        }
        const isZero = trits.subarray(g * group, (g + 1) * group).every((trit) => trit === 0);
        matrix.scales[g * GROUPED_ROWS + row] = isZero ? 0 : float16ToNumber(half);
      }
      transformer!.packGroupedRow(matrix, row, trits);
    }
    if (!transformer!.packGroups) return [matrix.packed.subarray(0, 0), matrix.scales, Int32Array.of(zeros, -1, -1, -1, 1)];
    const made = transformer!.createGrouped(arena, GROUPED_ROWS, columns, group);
    const pack = (...changes: (readonly [at: number, byte: number])[]): number => {
      const changed = bytes.slice();
      for (const [at, byte] of changes) changed[at] = byte;
      return transformer!.packGroups!(made, 0, GROUPED_ROWS, type, changed);
    };
    const last = (GROUPED_ROWS - 1) * rowBytes;
    const refused = [pack([last + 1, 0x7c]), pack([last + 1, 0xb0]), perByte === 4 ? pack([last + 2, 3]) : pack([last, 0], [last + 1, 0])];
    const found = pack();
    const [row, other] = [new Int8Array(columns), new Int8Array(columns)];
    const isSame = Array.from({ length: GROUPED_ROWS }, (_, n) => n).every((n) => {
      transformer!.unpackRow(matrix, n, row);
      transformer!.unpackRow(made, n, other);
      return sameBytes(row, other);
    });
    return [made.packed.subarray(0, 0), made.scales, Int32Array.of(found, ...refused, Number(isSame))];
  });
}

const all = (...checks: readonly Check[]): Check => (test) => checks.every((check) => check(test));

const checks: Readonly<Record<TransformerKernelName | GroupedKernelName | keyof typeof DOT_GROUPED_PARAMETERS, Check>> = {
  quantize: likeScalar(({ transformer }, { i8, f32 }, floats) => {
    const [q, qScales] = [i8(TOKENS * WIDTH), f32(TOKENS)];
    const x = floats(TOKENS * WIDTH);
    // The largest of each token, where another lane finds it.
    for (let t = 0; t < TOKENS; t++) x[t * WIDTH + 4 * t + (t % 4)] = t % 2 === 0 ? 50 : -50;
    transformer!.quantize(x, WIDTH, TOKENS, q, qScales);
    return [q, qScales];
  }),
  quantizeGroups: likeScalar(({ transformer }, { i8, f32 }, floats) => {
    const width = ACTIVATION_GROUP + WIDTH;
    const [q, qScales] = [i8(TOKENS * width), f32(TOKENS * 2)];
    const x = floats(TOKENS * width);
    for (let t = 0; t < TOKENS; t++) x[t * width + 13 * t] = t % 2 === 0 ? 50 : -50;
    transformer!.quantizeGroups(x, width, TOKENS, q, qScales);
    return [q, qScales];
  }),
  glu: likeScalar(({ transformer }, { f32 }, floats) => {
    const [a, b, silu, relu2] = [floats(107, 8), floats(107), f32(107), f32(107)];
    transformer!.glu(a, b, 'silu', 107, silu);
    transformer!.glu(a, b, 'relu2', 107, relu2);
    return [silu, relu2];
  }),
  rotate: likeScalar(({ transformer }, _arena, floats) => {
    const x = floats(TOKENS * HEADS * HEAD_DIM);
    transformer!.rotate(x, HEADS, HEAD_DIM, PAIRS, floats(TOKENS * 2 * PAIRS), TOKENS);
    return [x];
  }),
  storeKeysValues: all(...[true, false].map((isHalf) => likeScalar((kernels, arena, floats) => [remember(kernels, arena, floats, isHalf).pages.elements]))),
  attention: all(attend(true, Infinity), attend(false, 17)),
  groupedRows: all(multiplyGroups(128, 1), multiplyGroups(32, 1, 3)),
  groupedTile8: multiplyGroups(128, 8, 5),
  groupedTile16: multiplyGroups(64, 16, 13),
  groupedTile32: multiplyGroups(64, 32, 29),
  packGroups: all(packGroups('Q2_0', 64), packGroups('Q2_0', 128), packGroups('PQ2_0', 128), packGroups('Q1_0', 128)),
  floatMatmul: all(multiplyFloats('F32'), multiplyFloats('F16'), multiplyFloats('BF16')),
};

export const MORE_CHECKS = { checks, createScalarTransformer };

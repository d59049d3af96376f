import { TENSOR_TYPES, type TensorType } from './gguf.js';

/**
 * Types of tensors in GGUF files that are listed, but not read: number, name, and the elements and bytes of a block (ggml.h, `enum ggml_type`;
 * ggml-common.h). 36 is of Microsoft's bitnet.cpp, 142 and 143 are of PrismML's fork. There is no size where files disagree on the layout
 * behind a number, as on 42, or where it is not blocks alone.
 */
const OTHER_TYPES: readonly (readonly [id: number, name: string, blockSize?: number, blockBytes?: number])[] = [
  [2, 'Q4_0', 32, 18], [3, 'Q4_1', 32, 20], [6, 'Q5_0', 32, 22], [7, 'Q5_1', 32, 24], [9, 'Q8_1'],
  [10, 'Q2_K', 256, 84], [11, 'Q3_K', 256, 110], [12, 'Q4_K', 256, 144], [13, 'Q5_K', 256, 176], [14, 'Q6_K', 256, 210], [15, 'Q8_K', 256, 292],
  [16, 'IQ2_XXS', 256, 66], [17, 'IQ2_XS', 256, 74], [18, 'IQ3_XXS', 256, 98], [19, 'IQ1_S', 256, 50], [20, 'IQ4_NL', 32, 18],
  [21, 'IQ3_S', 256, 110], [22, 'IQ2_S', 256, 82], [23, 'IQ4_XS', 256, 136], [29, 'IQ1_M', 256, 56],
  [24, 'I8', 1, 1], [25, 'I16', 1, 2], [26, 'I32', 1, 4], [27, 'I64', 1, 8], [28, 'F64', 1, 8],
  [31, 'Q4_0_4_4', 32, 18], [32, 'Q4_0_4_8', 32, 18], [33, 'Q4_0_8_8', 32, 18], [36, 'I2_S'], [39, 'MXFP4', 32, 17], [40, 'NVFP4', 64, 36],
  [41, 'Q1_0', 128, 18], [42, 'Q2_0'], [142, 'PQ2_0', 128, 34], [143, 'PTQ1_0', 128, 28],
];

/** What ggml calls a type that is not read; undefined if that is not known. */
export function otherTypeName(id: number): string | undefined {
  return OTHER_TYPES.find(([other]) => other === id)?.[1];
}

/** `blockBytes` of a type whose size is not known. */
export const UNKNOWN_BYTES = 0;

/** Any type there is; one that has no name here is called by its number. */
export function anyType(id: number): TensorType<string> {
  const own = Object.entries(TENSOR_TYPES).find(([, type]) => type.id === id);
  if (own) return { name: own[0], ...own[1] };
  const [, name = `type ${id}`, blockSize = 1, blockBytes = UNKNOWN_BYTES] = OTHER_TYPES.find(([other]) => other === id) ?? [];
  return { id, name, blockSize, blockBytes };
}

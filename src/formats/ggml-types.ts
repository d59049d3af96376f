import { FormatError, show } from '../errors.js';
import { TENSOR_TYPES, type GgufHeader, type GgufTensorType, type LateTensorType, type TensorType, type TensorTypeInfo, type TypeOf } from './gguf.js';
import { isBitnetCpp, refuseMarks, whyNotRead } from './ggml-refusals.js';
import { twoBitLayout, TWO_BIT } from './two-bit-layout.js';

/**
 * Ternary types that files of others have. Q1_0 and Q2_0: ggml-common.h; PQ2_0 and PTQ1_0: PrismML's fork of it; I2_S: Microsoft's bitnet.cpp, which
 * has one scale, a float32, behind all blocks.
 */
export const LATE_TYPES: Readonly<Record<LateTensorType, TensorTypeInfo>> = {
  Q1_0: { id: 41, blockSize: 128, blockBytes: 18 },
  Q2_0: { id: TWO_BIT, blockSize: 64, blockBytes: 18 },
  PQ2_0: { id: 142, blockSize: 128, blockBytes: 34 },
  PTQ1_0: { id: 143, blockSize: 128, blockBytes: 28 },
  I2_S: { id: 36, blockSize: 128, blockBytes: 32, tailBytes: 32 },
};

export const READ_TYPES: Readonly<Record<GgufTensorType, TensorTypeInfo>> = { ...TENSOR_TYPES, ...LATE_TYPES };

/** Sizes of a type that is read. */
export function typeInfo(type: GgufTensorType): TensorTypeInfo {
  return READ_TYPES[type];
}

type OtherType = readonly [id: number, name: string, blockSize?: number, blockBytes?: number];

/**
 * Types that are listed, but not read: number, name, and the elements and bytes of a block (ggml.h, `enum ggml_type`; ggml-common.h).
 */
const OTHER_TYPES: readonly OtherType[] = [
  [2, 'Q4_0', 32, 18], [3, 'Q4_1', 32, 20], [6, 'Q5_0', 32, 22], [7, 'Q5_1', 32, 24], [9, 'Q8_1'],
  [10, 'Q2_K', 256, 84], [11, 'Q3_K', 256, 110], [12, 'Q4_K', 256, 144], [13, 'Q5_K', 256, 176], [14, 'Q6_K', 256, 210], [15, 'Q8_K', 256, 292],
  [16, 'IQ2_XXS', 256, 66], [17, 'IQ2_XS', 256, 74], [18, 'IQ3_XXS', 256, 98], [19, 'IQ1_S', 256, 50], [20, 'IQ4_NL', 32, 18],
  [21, 'IQ3_S', 256, 110], [22, 'IQ2_S', 256, 82], [23, 'IQ4_XS', 256, 136], [29, 'IQ1_M', 256, 56],
  [24, 'I8', 1, 1], [25, 'I16', 1, 2], [26, 'I32', 1, 4], [27, 'I64', 1, 8], [28, 'F64', 1, 8],
  [31, 'Q4_0_4_4', 32, 18], [32, 'Q4_0_4_8', 32, 18], [33, 'Q4_0_8_8', 32, 18], [38, 'TL1'], [39, 'MXFP4', 32, 17], [40, 'NVFP4', 64, 36],
];

const TL2: OtherType = [39, 'TL2'];

/** bitnet.cpp has a number of ggml's for a type of its own. */
function otherType(header: GgufHeader, id: number): OtherType | undefined {
  return id === TL2[0] && isBitnetCpp(header) ? TL2 : OTHER_TYPES.find(([other]) => other === id);
}

/** `blockBytes` of a type whose size is not known. */
export const UNKNOWN_BYTES = 0;

function readType(id: number): TensorType<GgufTensorType> | undefined {
  const name = (Object.keys(READ_TYPES) as GgufTensorType[]).find((type) => READ_TYPES[type].id === id);
  return name && { name, ...READ_TYPES[name] };
}

/** The types of a file's tensors. @throws FormatError for those that are not read. */
export function readableTypes(header: GgufHeader): TypeOf<GgufTensorType> {
  refuseMarks(header);
  let layout: LateTensorType | undefined;
  return (info) => {
    if (info.id === TWO_BIT) {
      layout ??= twoBitLayout(header, LATE_TYPES);
      return { name: layout, ...READ_TYPES[layout] };
    }
    const type = readType(info.id);
    if (type) return type;
    const name = otherType(header, info.id)?.[1] ?? `number ${info.id}`;
    throw new FormatError(`${header.source.name}: the info of tensor ${show(info.name)} has the ggml type ${whyNotRead(info.id, name, Object.keys(READ_TYPES))}`);
  };
}

/** Of any type there is; one that has no name here is called by its number. */
export function anyTypes(header: GgufHeader): TypeOf<string> {
  let layout: TensorType<string> | undefined;
  return ({ id }) => {
    if (id === TWO_BIT) return (layout ??= listedTwoBit(header));
    const [, name = `type ${id}`, blockSize = 1, blockBytes = UNKNOWN_BYTES] = otherType(header, id) ?? [];
    return readType(id) ?? { id, name, blockSize, blockBytes };
  };
}

function listedTwoBit(header: GgufHeader): TensorType<string> {
  try {
    const name = twoBitLayout(header, LATE_TYPES);
    return { name, ...READ_TYPES[name] };
  } catch {
    return { name: 'Q2_0', id: TWO_BIT, blockSize: 1, blockBytes: UNKNOWN_BYTES };
  }
}

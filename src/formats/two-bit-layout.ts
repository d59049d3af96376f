import { FormatError } from '../errors.js';
import { alignUp, tensorBytes, type GgufHeader, type LateTensorType, type TensorTypeInfo } from './gguf.js';

/*
 * ggml's type 42 is Q2_0, of 64 weights in 18 bytes. PrismML's fork gave the number to 128 weights in 34 bytes before, which it calls PQ2_0
 * today (type 142). Nothing but the places of the tensors tells which of them a file has: each begins where the one before it ends.
 */

export const TWO_BIT = 42;

type Types = Readonly<Record<LateTensorType, TensorTypeInfo>>;

/** Of which type the tensors of number 42 are. @throws FormatError where that cannot be told. */
export function twoBitLayout(header: GgufHeader, types: Types): 'Q2_0' | 'PQ2_0' {
  const layouts = ['Q2_0', 'PQ2_0'] as const;
  const tensors = sections(header);
  const possible = layouts.filter((name) => tensors.every(({ shape, bytes }) => {
    const own = tensorBytes(types[name], shape);
    return own !== undefined && (bytes === undefined || bytes === alignUp(own, header.alignment));
  }));
  // Where the tensors between others leave both: the last one of the file, which ends with it, or with the padding.
  const last = tensors.find(({ bytes }) => bytes === undefined);
  const ending = possible.length === 1 || !last ? possible : possible.filter((name) => {
    const end = header.dataStart + last.offset + tensorBytes(types[name], last.shape)!;
    return header.source.size === end || header.source.size === alignUp(end, header.alignment);
  });
  if (ending.length === 1) return ending[0]!;
  throw new FormatError(
    `${header.source.name}: has tensors of the ggml type 42, Q2_0, which is 64 weights in 18 bytes or, in older files of PrismML's, 128 in 34; ` +
    `${ending.length > 1 ? 'both fit' : 'neither fits'} the places of its tensors (truncated download?); take a file of the type PQ2_0, or Q2_0 in groups of 64 written by llama.cpp`,
  );
}

/** The tensors of number 42, with the bytes up to the next tensor of the file. */
function sections({ infos }: GgufHeader): { shape: readonly number[]; offset: number; bytes: number | undefined }[] {
  const sorted = [...infos].sort((a, b) => a.offset - b.offset);
  return sorted.flatMap(({ id, shape, offset }, n) => {
    const next = sorted[n + 1]?.offset;
    return id === TWO_BIT ? [{ shape, offset, bytes: next === undefined ? undefined : next - offset }] : [];
  });
}

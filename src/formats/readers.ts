import { ArgumentError, missingPart, show } from '../errors.js';
import { isContent, sourceFromContent as fromContent, type ByteSource, type FileContent } from './bytes.js';
import { decodeFloats as decode, FLOAT_BYTES, type FloatType } from './floats.js';
import { readGguf as readGgufFrom, type GgufFile } from './gguf-reader.js';
import type { SafetensorsEntry } from './safetensors.js';
import type { StoredTensor, TensorEntry } from './stored-tensor.js';
import { BLOCK_WEIGHTS, decodeTernaryRow as decodeRow, isTernaryBlock, ternaryRowBytes, type TernaryBlockType } from './ternary-blocks.js';
import { encodeTernaryRow as encodeRow } from './ternary-encoder.js';

/*
 * Readers as index.ts names them, with checks of arguments that calls within the library can do without. What index.ts named itself, and
 * a folder's checkpoint loads later, would be in esbuild's first chunk of a page that only generates.
 */

/** @throws ArgumentError unless it is so. */
function need(isSo: boolean, what: string, value: unknown, wanted: string): void {
  if (!isSo) throw new ArgumentError(`${what} is ${show(value)}, not ${wanted}`);
}

function needSource(what: string, source: ByteSource | undefined): void {
  need(typeof source?.read === 'function' && typeof source.size === 'number', what, source, 'a source of bytes, as sourceFromContent makes them');
}

/** A whole number of things from `first` on that there is room for. */
function needRoom(what: string, first: number, count: number, room: number): void {
  const fits = Number.isSafeInteger(first) && Number.isSafeInteger(count) && first >= 0 && count >= 0 && first + count <= room;
  if (!fits) throw new ArgumentError(`${what}: ${show(first)} and ${show(count)} more do not lie within ${room}`);
}

/** Wraps a Blob, an ArrayBuffer or bytes; nothing is copied until it is read. @throws ArgumentError for anything else. */
export function sourceFromContent(name: string, content: FileContent): ByteSource {
  need(typeof name === 'string', 'sourceFromContent: the name', name, 'a text');
  need(isContent(content), 'sourceFromContent: the content', content, 'a Uint8Array, an ArrayBuffer or a Blob');
  return fromContent(name, content);
}

/**
 * Reads and checks header, metadata and tensor infos of a GGUF v2 or v3 file; tensor data is not read.
 * @throws FormatError naming file, key or tensor, and byte.
 */
export async function readGguf(source: ByteSource): Promise<GgufFile> {
  needSource('readGguf: the source', source);
  return readGgufFrom(source);
}

/**
 * Decodes `count` little-endian floats that start at element `first` of `bytes` into `out[0..count)`.
 * float16 and bfloat16 widen to float32 without rounding.
 * @throws ArgumentError for another type, or where there is no room for so many.
 */
export function decodeFloats(type: FloatType, bytes: Uint8Array, first: number, count: number, out: Float32Array): void {
  need(Object.hasOwn(FLOAT_BYTES, type), 'decodeFloats: the type', type, `one of ${Object.keys(FLOAT_BYTES).join(', ')}`);
  need(bytes instanceof Uint8Array, 'decodeFloats: bytes', bytes, 'a Uint8Array');
  need(out instanceof Float32Array, 'decodeFloats: out', out, 'a Float32Array');
  needRoom('decodeFloats: the elements', first, count, Math.floor(bytes.length / FLOAT_BYTES[type]));
  needRoom('decodeFloats: out', 0, count, out.length);
  decode(type, bytes, first, count, out);
}

/**
 * Decodes `out.length` weights (a multiple of 256) from the blocks at `offset`. Blocks of zeros may have any scale (ggml's
 * quantiser gives them 0), and what has the scale 0 is zero.
 * @returns the scale all other blocks of the row share, or NaN when they differ or when a TQ2_0 code is 3, which no weight has.
 * @throws ArgumentError for another type or length, or when the blocks are not all in `bytes`.
 */
export function decodeTernaryRow(type: TernaryBlockType, bytes: Uint8Array, offset: number, out: Int8Array): number {
  needBlocks('decodeTernaryRow', type, out, bytes, offset);
  return decodeRow(type, bytes, offset, out);
}

/**
 * Encodes weights (-1, 0, +1; a multiple of 256) as blocks with the scale 1, at `offset` of `out`.
 * @throws ArgumentError for another type or length, or when there is no room for the blocks.
 */
export function encodeTernaryRow(type: TernaryBlockType, trits: Int8Array, out: Uint8Array, offset: number): void {
  needBlocks('encodeTernaryRow', type, trits, out, offset);
  encodeRow(type, trits, out, offset);
}

function needBlocks(what: string, type: TernaryBlockType, trits: Int8Array, bytes: Uint8Array, offset: number): void {
  need(isTernaryBlock(type), `${what}: the type`, type, 'TQ1_0 or TQ2_0');
  need(trits instanceof Int8Array, `${what}: the weights`, trits, 'an Int8Array');
  need(trits.length % BLOCK_WEIGHTS === 0, `${what}: the number of weights`, trits.length, `a multiple of ${BLOCK_WEIGHTS}`);
  need(bytes instanceof Uint8Array, `${what}: the bytes`, bytes, 'a Uint8Array');
  needRoom(`${what}: the bytes`, offset, ternaryRowBytes(type, trits.length), bytes.length);
}

/**
 * Reads and checks the header of a safetensors file: every tensor lies inside the file, sizes agree with shapes, no overlap, no hole.
 * Tensor data is not read.
 * @throws FormatError naming file, tensor and bytes.
 */
export async function readSafetensorsHeader(source: ByteSource): Promise<Map<string, SafetensorsEntry>> {
  needSource('readSafetensorsHeader: the source', source);
  return (await import('./safetensors.js').catch(missingPart)).readSafetensorsHeader(source);
}

/**
 * Reads and checks the names and places of the tensors in a PyTorch checkpoint (`torch.save`, PyTorch 1.6 and later); their data
 * is not read. The pickle inside is not executed.
 * @throws FormatError naming file, tensor and byte.
 */
export async function readTorchTensors(source: ByteSource): Promise<Map<string, TensorEntry>> {
  needSource('readTorchTensors: the source', source);
  return (await import('./torch.js').catch(missingPart)).readTorchTensors(source);
}

/**
 * Reads a tensor's elements, the last dimension fastest.
 * @throws FormatError; `where` begins the message.
 */
export async function readTensor(where: string, tensor: StoredTensor): Promise<Uint8Array> {
  need(typeof where === 'string', 'readTensor: where', where, 'a text');
  needSource('readTensor: the source of the tensor', tensor?.source);
  need(Array.isArray(tensor.shape), 'readTensor: the shape of the tensor', tensor.shape, 'a list of sizes');
  return (await import('./stored-tensor.js').catch(missingPart)).readTensor(where, tensor);
}

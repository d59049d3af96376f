import { ConfigError, FormatError, show } from '../errors.js';
import { parseJsonObject, PIECE_BYTES, readPieces, readText, type ByteSource, type FileSet, type JsonObject } from '../formats/bytes.js';
import { decodeFloats, firstNonFinite, FLOAT_BYTES, isPlainlyFinite, type FloatType } from '../formats/floats.js';
import type { TernaryBlockType } from '../formats/ternary-blocks.js';
import type { GroupBlockType } from '../kernels/kernels.js';
import type { Pace } from '../platform/pace.js';
import { parameters, type Blueprint, type Switch, type TensorSpec } from '../architectures/blueprint.js';

/** A model's files, checked against its configuration, with the tensors still on disk. */
export interface Checkpoint {
  readonly name: string;
  readonly blueprint: Blueprint;
  readonly texts: CheckpointTexts;
  /** How ternary weights are stored, for people. */
  readonly stored: Pick<Switch, 'value' | 'why'>;
  /** Of a table of floats, as `readTable` gives it. */
  tableType(tensor: TensorSpec): FloatType;
  /** Whether a ternary weight may have a scale for each row. Otherwise it has one. */
  readonly hasRowScales?: boolean;
  /** Bytes of a tensor as stored, for progress. */
  storedBytes(tensor: TensorSpec): number;
  /**
   * A table as stored, such as the embeddings: [rows, columns] of its `tableType`, checked to be finite.
   * @param into where to put it, of its size. A checkpoint may as well return memory of its own.
   */
  readTable(tensor: TensorSpec, into?: Uint8Array, reading?: Reading): Promise<Uint8Array>;
  /** A float tensor as float32, checked to be finite. */
  readFloats(tensor: TensorSpec): Promise<Float32Array>;
  /**
   * A ternary weight, row by row in a buffer that is used again, quantised if it is stored as floats.
   * @param scales [rows], filled: weight = trit · scale.
   * @param onRow is given each row once, but for those that `reading.onBlocks` has taken.
   */
  readTernary(tensor: TensorSpec, scales: Float32Array, onRow: OnRow, reading?: TernaryReading): Promise<void>;
  /** Columns of the groups that an `isGrouped` weight has scales for: 128, 64 or 32. May read the whole weight. */
  groupOf?(tensor: TensorSpec, reading?: Reading): Promise<number>;
  /** As `readTernary`, of an `isGrouped` weight. @param group of `groupOf`. @param scales [⌈columns / group⌉, rows], filled. */
  readGrouped?(tensor: TensorSpec, group: number, scales: Float32Array, onRow: OnRow, reading?: GroupedReading): Promise<void>;
  close(): Promise<void>;
}

export type OnRow = (row: number, trits: Int8Array) => void;

/** What goes on while a tensor is read. */
export interface Reading {
  /** Lets other tasks run between pieces or rows, and stops at an abort. */
  readonly pace?: Pace;
  /** Told the stored bytes of each piece that is done, by checkpoints that read in pieces. */
  readonly onBytes?: (bytes: number) => void;
}

export interface TernaryReading extends Reading {
  /**
   * Offered rows `first` … `first + count - 1` where they are stored as blocks, as many as were read at once. It returns true if it
   * has taken them; then they all have the scale of their first block, and need not be decoded.
   */
  readonly onBlocks?: ((first: number, count: number, type: TernaryBlockType, bytes: Uint8Array) => boolean) | undefined;
}

export interface GroupedReading extends Reading {
  /** Offered rows as `TernaryReading.onBlocks` is. It returns true if it has taken them, with their scales. */
  readonly onGroups?: ((first: number, count: number, type: GroupBlockType, bytes: Uint8Array) => boolean) | undefined;
}

/** The JSON files beside the weights, as text, where they exist. */
export interface CheckpointTexts {
  readonly config?: string;
  readonly tokenizer: string | undefined;
  /** What `tokenizer` says, where that is made only when it is asked for: as `Tokenizer.fromJSON` takes it. */
  readonly tokenizerJson?: unknown;
  /** Where it comes from, for messages; `tokenizer.json` if not given. */
  readonly tokenizerName?: string;
  readonly tokenizerConfig: string | undefined;
  readonly generationConfig: string | undefined;
  /** Chat templates by name (`default`, `tool_use`), where they are not in tokenizer_config.json. */
  readonly chatTemplates?: ReadonlyMap<string, string> | undefined;
}

/** tokenizer.json of the largest vocabularies is under 40 MB. */
const MAX_JSON_BYTES = 128 * 1024 * 1024;

export async function readOptionalText(files: FileSet, file: string): Promise<string | undefined> {
  const source = await files.open(file);
  if (!source) return undefined;
  return readText(source, MAX_JSON_BYTES).finally(() => source.close());
}

export function parseOptional(file: string, text: string | undefined): JsonObject {
  return text === undefined ? {} : parseJsonObject(file, text);
}

/** Which tensors a checkpoint has, by the names of its own format. */
export interface TensorListing {
  readonly nameOf: (tensor: TensorSpec) => string;
  readonly shapeOf: (name: string) => readonly number[] | undefined;
  readonly names: Iterable<string>;
  /** The shape a ternary weight is stored with. */
  readonly ternaryShape: (tensor: TensorSpec) => readonly number[];
  /** Names that may be there or not. */
  readonly optional: ReadonlySet<string>;
}

/** Every tensor of the model is there with its shape, and no other. @throws ConfigError naming the tensor. */
export function checkTensors(where: string, blueprint: Blueprint, listing: TensorListing): void {
  const expected = new Map<string, readonly number[]>();
  for (const { tensor, held } of parameters(blueprint)) {
    expected.set(listing.nameOf(tensor), held === 'ternary' ? listing.ternaryShape(tensor) : tensor.shape);
  }
  for (const [name, shape] of expected) {
    if (!listing.shapeOf(name)) throw new ConfigError(`${where}: tensor "${name}" [${shape}] is missing`);
  }
  for (const [name, shape] of expected) {
    const found = listing.shapeOf(name)!;
    if (found.length !== shape.length || found.some((n, i) => n !== shape[i])) {
      throw new ConfigError(`${where}: tensor "${name}" has shape [${found}], the configuration asks for [${shape}]`);
    }
  }
  for (const name of listing.names) {
    if (!expected.has(name) && !listing.optional.has(name) && !blueprint.leftOut?.test(name)) {
      throw new ConfigError(`${where}: tensor ${show(name)} does not belong to a model of this configuration`);
    }
  }
}

const CHECKED_VALUES = 4096;

/** Decodes a whole tensor. @throws FormatError at a NaN or infinity. */
export function decodeFinite(where: string, type: FloatType, bytes: Uint8Array): Float32Array {
  const values = new Float32Array(bytes.length / FLOAT_BYTES[type]);
  decodeFloats(type, bytes, 0, values.length, values);
  requireFinite(where, values, 0);
  return values;
}

/** As `decodeFinite`, for values that stay as they are. @param first the element of the tensor that `bytes` begin with. */
export function checkFinite(where: string, type: FloatType, bytes: Uint8Array, first = 0): void {
  if (isPlainlyFinite(type, bytes)) return;
  const values = new Float32Array(Math.min(CHECKED_VALUES, bytes.length / FLOAT_BYTES[type]));
  const count = bytes.length / FLOAT_BYTES[type];
  for (let at = 0; at < count; at += values.length) {
    const part = values.subarray(0, Math.min(values.length, count - at));
    decodeFloats(type, bytes, at, part.length, part);
    requireFinite(where, part, first + at);
  }
}

/** Where a file has a table, and what a piece of it becomes when it is stored in another way than it is held. */
export interface StoredTable {
  readonly source: ByteSource;
  readonly offset: number;
  readonly byteLength: number;
  readonly decode?: ((piece: Uint8Array) => Uint8Array) | undefined;
  /** So that pieces hold whole elements or blocks. */
  readonly pieceBytes?: number;
}

/** Reads a table of floats of `type` to where it is to lie, piece by piece, checked to be finite. */
export async function readTable(
  where: string, stored: StoredTable, type: FloatType, into: Uint8Array, { pace, onBytes }: Reading = {},
): Promise<void> {
  const { source, offset, byteLength, decode = (piece: Uint8Array) => piece, pieceBytes = PIECE_BYTES } = stored;
  let at = 0;
  for await (const piece of readPieces(source, offset, byteLength, pieceBytes)) {
    const values = decode(piece);
    into.set(values, at);
    checkFinite(where, type, into.subarray(at, at + values.length), at / FLOAT_BYTES[type]);
    at += values.length;
    onBytes?.(piece.length);
    await pace?.giveWay();
  }
}

/** `first`: the element of the tensor that `values` begins with. */
function requireFinite(where: string, values: Float32Array, first: number): void {
  const bad = firstNonFinite(values, values.length);
  if (bad >= 0) throw new FormatError(`${where} holds ${values[bad]} at element ${first + bad}; weights must be finite`);
}

import { ArgumentError, FormatError, show } from '../errors.js';
import { typeInfo } from '../formats/ggml-types.js';
import { alignUp, type GgufMetadata, type GgufValue } from '../formats/gguf.js';
import { writeGguf } from '../formats/gguf-writer.js';
import { BLOCK_WEIGHTS, isTernaryBlock, ternaryRowBytes } from '../formats/ternary-blocks.js';
import { encodeTernaryRow } from '../formats/ternary-encoder.js';
import { givenOptions } from '../options.js';
import { parseOptional, type Checkpoint } from '../checkpoint/checkpoint.js';
import { ggufScaleName, ternaryTensors } from '../architectures/blueprint.js';
import { ggufColumns, ggufRows } from '../architectures/gguf-order.js';
import { KEYS, rowAlignmentKey } from '../checkpoint/gguf-metadata.js';
import { metadataOf } from './gguf-keys.js';
import { encodeGroupedRow, storedColumns, type ScaledBlockType } from './group-rows.js';
import type { ModelSource } from '../sources/source.js';
import { ggmlTokenizer } from './gguf-tokenizer.js';
import { READING_OPTIONS, type SourceOptions } from './open.js';
import { convertSource, toJson, type Change, type Layout } from './plan.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';

export interface ConvertOptions extends SourceOptions {
  /**
   * TQ2_0: 2 bits a weight; TQ1_0: 1.7 bits, loads slower. For models with scales for groups of columns (Ternary Bonsai, TriLM) also Q2_0, a scale for 64
   * columns, and PQ2_0, for 128, which fewer programs read. None loses anything; what a type cannot hold is refused. Default: TQ2_0, or Q2_0 for such models.
   */
  readonly type?: ConvertType | undefined;
  /** `general.name` in the file; default: the folder's or file's name. */
  readonly name?: string | undefined;
}

export type ConvertType = ScaledBlockType;

/** `general.file_type` of a file that is mostly of this type. */
const FILE_TYPES: Readonly<Record<ConvertType, number>> = { TQ1_0: 36, TQ2_0: 37, Q2_0: 41, PQ2_0: 141 };

/** Types that files are converted to. */
export const CONVERT_TYPES = Object.keys(FILE_TYPES) as ConvertType[];

/**
 * Converts a model to one GGUF file, tokenizer inside: yields the file's bytes in order. A model loaded from it gives the same
 * logits, bit for bit; the same input gives the same bytes. One tensor is held at a time.
 * @throws as `MatMulFreeLM.load` does.
 */
export function convert(source: ModelSource, options: ConvertOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
  return convertChanged('convert', source, options);
}

/** @internal As `convert`, of what `change` leaves of the model. @param what the caller's function. */
export async function* convertChanged(what: string, source: ModelSource, options: ConvertOptions, change?: Change): AsyncGenerator<Uint8Array, void, undefined> {
  const { type, name, ...opening } = givenOptions(what, options, ['type', 'name', ...READING_OPTIONS]);
  if (type !== undefined && !CONVERT_TYPES.includes(type)) throw new ArgumentError(`${what}: type is ${show(type)}, not one of ${CONVERT_TYPES.join(', ')}`);
  if (name !== undefined && typeof name !== 'string') throw new ArgumentError(`${what}: name is ${show(name)}, not a text`);
  const typeOf = ({ blueprint }: Checkpoint): ConvertType => {
    const isGrouped = ternaryTensors(blueprint).some((tensor) => tensor.isGrouped);
    if (type === undefined) return isGrouped ? 'Q2_0' : 'TQ2_0';
    if (isGrouped || isTernaryBlock(type)) return type;
    throw new ArgumentError(`${what}: type is ${show(type)}, which is for models with scales for groups of columns; this one has a scale a row: take TQ2_0 or TQ1_0`);
  };
  yield* convertSource(what, source, opening, (checkpoint) => ggufLayout(typeOf(checkpoint), checkpoint.name), async function* (checkpoint, tokenizer, tensors) {
    yield* writeGguf(await buildMetadata(checkpoint, tokenizer, typeOf(checkpoint), name ?? baseName(checkpoint.name)), tensors);
  }, change);
}

/**
 * Weights as blocks with d = 1, and their scale in a tensor of its own behind each (formats.md, "GGUF"); those with scales for groups of columns as blocks with
 * these scales.
 */
function ggufLayout(type: ConvertType, file: string): Layout<ConvertType> {
  return {
    nameOf: (tensor) => tensor.gguf,
    scaleNameOf: ggufScaleName,
    rowsOf: ggufRows,
    columnsOf: ggufColumns,
    grouped({ gguf, shape: [rows = 0, columns = 0] }, group) {
      const stored = storedColumns(type, columns);
      const { blockSize, blockBytes } = typeInfo(type);
      const rowBytes = (stored / blockSize) * blockBytes;
      return {
        type, shape: [rows, stored], byteLength: rows * rowBytes, hasScaleTensor: false,
        putRow: (bytes, row, trits, scales) =>
          encodeGroupedRow(type, { where: `${file}: tensor "${gguf}"`, row, trits, scales, group }, stored, bytes, row * rowBytes),
      };
    },
    ternary(rows, columns) {
      if (!isTernaryBlock(type)) throw new FormatError(`${file}: the type ${type} has no place for one scale a row`);
      const padded = alignUp(columns, BLOCK_WEIGHTS);
      const rowBytes = ternaryRowBytes(type, padded);
      const buffer = new Int8Array(padded);
      return {
        type, shape: [rows, padded], byteLength: rows * rowBytes,
        putRow(bytes, row, trits) {
          for (let j = 0; j < columns; j++) buffer[j] = trits[j]!;
          encodeTernaryRow(type, buffer, bytes, row * rowBytes);
        },
      };
    },
  };
}

async function buildMetadata(
  checkpoint: Checkpoint, tokenizer: Tokenizer | undefined, type: ConvertType, name: string,
): Promise<GgufMetadata> {
  const { blueprint, texts } = checkpoint;
  const { architecture, config } = blueprint;
  const metadata = new Map<string, GgufValue>();
  const text = (key: string, value: string | undefined): void => {
    if (value !== undefined) metadata.set(key, { type: 'string', value });
  };
  const u32 = (key: string, value: number | undefined): void => {
    if (value !== undefined) metadata.set(key, { type: 'u32', value });
  };
  text(KEYS.architecture, architecture);
  text('general.type', 'model');
  text('general.name', name);
  u32('general.file_type', FILE_TYPES[type]);
  u32('general.quantization_version', 2);
  for (const [key, value] of await metadataOf(blueprint)) metadata.set(key, value);
  if (ternaryTensors(blueprint).some(({ shape }) => shape[1]! % BLOCK_WEIGHTS !== 0)) u32(rowAlignmentKey(architecture), BLOCK_WEIGHTS);
  u32(KEYS.bosTokenId, config.bosTokenId);
  u32(KEYS.eosTokenId, config.eosTokenIds[0]);
  if (texts.tokenizer !== undefined && tokenizer) {
    for (const [key, value] of ggmlTokenizer(texts.tokenizer, tokenizer, config)) {
      metadata.set(key, value);
    }
  }
  text(KEYS.tokenizerJson, texts.tokenizer);
  for (const [name, template] of texts.chatTemplates ?? []) text(name === 'default' ? KEYS.chatTemplate : `${KEYS.chatTemplate}.${name}`, template);
  text(KEYS.tokenizerConfig, texts.tokenizerConfig);
  text(KEYS.generationConfig, generationConfig(checkpoint));
  return metadata;
}

/** `tokenizer.ggml.eos_token_id` holds one id: where a model has several, generation_config.json must carry them. */
function generationConfig({ blueprint: { config }, texts }: Checkpoint): string | undefined {
  if (config.eosTokenIds.length < 2) return texts.generationConfig;
  const generation = parseOptional('generation_config.json', texts.generationConfig);
  return 'eos_token_id' in generation ? texts.generationConfig : toJson('generation_config.json', { ...generation, eos_token_id: config.eosTokenIds });
}

/** The last part of a path, without .gguf. */
function baseName(name: string): string {
  return name.replace(/[/\\]+$/, '').replace(/^.*[/\\]/, '').replace(/\.gguf$/i, '') || 'model';
}

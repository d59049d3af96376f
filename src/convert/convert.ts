import { ArgumentError, show } from '../errors.js';
import { alignUp, type GgufMetadata, type GgufValue } from '../formats/gguf.js';
import { writeGguf } from '../formats/gguf-writer.js';
import { BLOCK_WEIGHTS, encodeTernaryRow, ternaryRowBytes, type TernaryBlockType } from '../formats/ternary-blocks.js';
import { givenOptions } from '../options.js';
import { parseOptional, type Checkpoint } from '../checkpoint/checkpoint.js';
import { ggufScaleName, ternaryTensors } from '../architectures/blueprint.js';
import { ggufRows } from '../architectures/paired-rows.js';
import { KEYS, rowAlignmentKey } from '../checkpoint/gguf-metadata.js';
import { metadataOf } from './gguf-keys.js';
import { SOURCE_OPTIONS, type ModelSource } from '../sources/source.js';
import { ggmlTokenizer } from './gguf-tokenizer.js';
import { convertSource, toJson, type Layout, type SourceOptions } from './plan.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';

export interface ConvertOptions extends SourceOptions {
  /** TQ2_0 (the default): 2 bits a weight, loads faster. TQ1_0: 1.7 bits. Both lose nothing. */
  readonly type?: TernaryBlockType | undefined;
  /** `general.name` in the file; default: the folder's or file's name. */
  readonly name?: string | undefined;
}

/** `general.file_type` of a file that is mostly of this type. */
const FILE_TYPES: Readonly<Record<TernaryBlockType, number>> = { TQ1_0: 36, TQ2_0: 37 };

/**
 * Converts a model to one GGUF file, tokenizer inside: yields the file's bytes in order. A model loaded from it gives the same
 * logits, bit for bit; the same input gives the same bytes. One tensor is held at a time.
 * @throws as `MatMulFreeLM.load` does.
 */
export async function* convert(source: ModelSource, options: ConvertOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
  const { type = 'TQ2_0', name, ...opening } = givenOptions('convert', options, ['type', 'name', ...SOURCE_OPTIONS]);
  if (!Object.hasOwn(FILE_TYPES, type)) throw new ArgumentError(`convert: type is ${show(type)}, not TQ1_0 or TQ2_0`);
  if (name !== undefined && typeof name !== 'string') throw new ArgumentError(`convert: name is ${show(name)}, not a text`);
  yield* convertSource('convert', source, opening, ggufLayout(type), async function* (checkpoint, tokenizer, tensors) {
    yield* writeGguf(await buildMetadata(checkpoint, tokenizer, type, name ?? baseName(checkpoint.name)), tensors);
  });
}

/** Weights as blocks with d = 1, and their scale in a tensor of its own behind each (formats.md, "GGUF"). */
function ggufLayout(type: TernaryBlockType): Layout<TernaryBlockType> {
  return {
    nameOf: (tensor) => tensor.gguf,
    scaleNameOf: ggufScaleName,
    rowsOf: ggufRows,
    ternary(rows, columns) {
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
  checkpoint: Checkpoint, tokenizer: Tokenizer | undefined, type: TernaryBlockType, name: string,
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

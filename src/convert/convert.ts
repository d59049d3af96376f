import { loadTokenizer } from '../checkpoint-tokenizer.js';
import { ArgumentError, show } from '../errors.js';
import { convertExactly, smallestExactType } from '../formats/floats.js';
import { alignUp, tensorBytes, type GgufMetadata, type GgufValue } from '../formats/gguf.js';
import { writeGguf, type GgufTensorToWrite } from '../formats/gguf-writer.js';
import { BLOCK_WEIGHTS, encodeTernaryRow, ternaryRowBytes, type TernaryBlockType } from '../formats/ternary-blocks.js';
import { checkKeys } from '../options.js';
import { parseOptional, type Checkpoint } from '../model/checkpoint.js';
import { ARCHITECTURE, KEYS } from '../model/gguf-metadata.js';
import type { Progress } from '../model/load-model.js';
import { Pace } from '../pace.js';
import { openCheckpoint } from '../model/open-checkpoint.js';
import { ggufScaleName, ternarySpecs, type BitLinearSpec, type TensorSpec } from '../model/tensor-names.js';
import { openSource, type ModelSource } from '../source.js';
import { ggmlTokenizer } from './gguf-tokenizer.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';

export interface ConvertOptions {
  /** TQ2_0 (the default): 2 bits a weight, loads faster. TQ1_0: 1.7 bits. Both lose nothing. */
  readonly type?: TernaryBlockType;
  /** `general.name` in the file; default: the folder's or file's name. */
  readonly name?: string;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
  /** As for `MatMulFreeLM.load`. */
  readonly token?: string;
  readonly cache?: string | false;
}

/** `general.file_type` of a file that is mostly of this type. */
const FILE_TYPES: Readonly<Record<TernaryBlockType, number>> = { TQ1_0: 36, TQ2_0: 37 };

/**
 * Converts a model to one GGUF file, tokenizer inside: yields the file's bytes in order. A model loaded from it gives the same
 * logits, bit for bit; the same input gives the same bytes. One tensor is held at a time.
 * @throws as `MatMulFreeLM.load` does.
 */
export async function* convert(source: ModelSource, options: ConvertOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
  checkKeys('convert', options, ['type', 'name', 'onProgress', 'signal', 'token', 'cache']);
  const { type = 'TQ2_0', signal } = options;
  if (!Object.hasOwn(FILE_TYPES, type)) throw new ArgumentError(`convert: type is ${show(type)}, not TQ1_0 or TQ2_0`);
  signal?.throwIfAborted();
  const checkpoint = await openCheckpoint(await openSource(source, options));
  try {
    const tokenizer = loadTokenizer(checkpoint); // refuses here what `load` would refuse later
    const metadata = buildMetadata(checkpoint, tokenizer, type, options.name ?? baseName(checkpoint.name));
    const pace = new Pace(signal);
    const tensors = await planTensors(checkpoint, type, pace);
    const total = tensors.reduce((sum, { type: t, shape }) => sum + (tensorBytes(t, shape) ?? 0), 0);
    let loaded = 0;
    const counted = tensors.map((tensor): GgufTensorToWrite => ({
      ...tensor,
      async bytes() {
        await pace.giveWay();
        const bytes = await tensor.bytes();
        loaded += bytes.length;
        options.onProgress?.({ stage: 'convert', file: checkpoint.name, loaded, total });
        return bytes;
      },
    }));
    yield* writeGguf(metadata, counted);
  } finally {
    await checkpoint.close();
  }
}

function buildMetadata(
  checkpoint: Checkpoint, tokenizer: Tokenizer | undefined, type: TernaryBlockType, name: string,
): GgufMetadata {
  const { config, texts } = checkpoint;
  const metadata = new Map<string, GgufValue>();
  const text = (key: string, value: string | undefined): void => {
    if (value !== undefined) metadata.set(key, { type: 'string', value });
  };
  const u32 = (key: string, value: number | undefined): void => {
    if (value !== undefined) metadata.set(key, { type: 'u32', value });
  };
  text(KEYS.architecture, ARCHITECTURE);
  text('general.type', 'model');
  text('general.name', name);
  u32('general.file_type', FILE_TYPES[type]);
  u32('general.quantization_version', 2);
  u32(KEYS.blockCount, config.layers);
  u32(KEYS.contextLength, config.trainedContext);
  u32(KEYS.embeddingLength, config.hiddenSize);
  if (config.recurrentSize !== config.hiddenSize) u32(KEYS.recurrentLength, config.recurrentSize);
  u32(KEYS.feedForwardLength, config.intermediateSize);
  u32(KEYS.vocabSize, config.vocabSize);
  metadata.set(KEYS.rmsEpsilon, { type: 'f32', value: config.rmsNormEps });
  metadata.set(KEYS.useLowerBound, { type: 'bool', value: config.useLowerBound });
  if (ternarySpecs(checkpoint.spec).some(({ shape }) => shape[1]! % BLOCK_WEIGHTS !== 0)) u32(KEYS.rowAlignment, BLOCK_WEIGHTS);
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
function generationConfig({ config, texts }: Checkpoint): string | undefined {
  if (config.eosTokenIds.length < 2) return texts.generationConfig;
  const generation = parseOptional('generation_config.json', texts.generationConfig);
  return 'eos_token_id' in generation ? texts.generationConfig : JSON.stringify({ ...generation, eos_token_id: config.eosTokenIds });
}

async function planTensors(checkpoint: Checkpoint, type: TernaryBlockType, pace: Pace): Promise<GgufTensorToWrite[]> {
  const { spec, embeddingType } = checkpoint;
  const tensors: GgufTensorToWrite[] = [];
  const floats = (tensor: TensorSpec): void => {
    const bytes = async (): Promise<Uint8Array> => asBytes(await checkpoint.readFloats(tensor));
    tensors.push({ name: tensor.gguf, type: 'F32', shape: tensor.shape, bytes });
  };
  const linear = ({ weight, norm }: BitLinearSpec): void => {
    floats(norm);
    pushTernary(tensors, checkpoint, type, weight, pace);
  };

  const table = smallestExactType(embeddingType, await checkpoint.readEmbeddings());
  tensors.push({
    name: spec.embeddings.gguf,
    type: table,
    shape: spec.embeddings.shape,
    bytes: async () => convertExactly(embeddingType, await checkpoint.readEmbeddings(), table),
  });
  if (spec.lowerBounds) floats(spec.lowerBounds);
  for (const layer of spec.layers) {
    floats(layer.tokenNorm);
    linear(layer.inputProjection);
    linear(layer.forgetProjection);
    linear(layer.gateProjection);
    floats(layer.gateNorm);
    linear(layer.outputProjection);
    floats(layer.channelNorm);
    linear(layer.mlpGate);
    linear(layer.mlpDown);
  }
  floats(spec.norm);
  linear(spec.head);
  return tensors;
}

/** The weight as blocks with d = 1, and its scale in a tensor of its own behind it (formats.md, "GGUF"). */
function pushTernary(
  tensors: GgufTensorToWrite[], checkpoint: Checkpoint, type: TernaryBlockType, weight: TensorSpec, pace: Pace,
): void {
  const [rows = 0, columns = 0] = weight.shape;
  const padded = alignUp(columns, BLOCK_WEIGHTS);
  const rowBytes = ternaryRowBytes(type, padded);
  const scales = new Float32Array(rows);
  tensors.push({
    name: weight.gguf,
    type,
    shape: [rows, padded],
    async bytes() {
      const bytes = new Uint8Array(rows * rowBytes);
      const row = new Int8Array(padded);
      await checkpoint.readTernary(weight, scales, (r, trits) => {
        for (let j = 0; j < columns; j++) row[j] = trits[j]!;
        encodeTernaryRow(type, row, bytes, r * rowBytes);
      }, pace);
      return bytes;
    },
  });
  tensors.push({
    name: ggufScaleName(weight),
    type: 'F32',
    shape: [1],
    async bytes() {
      if (scales.some((scale) => scale !== scales[0])) {
        throw new ArgumentError(`convert: "${weight.gguf}" has a scale for each row, which the GGUF types cannot hold`);
      }
      return asBytes(scales.slice(0, 1));
    },
  });
}

function asBytes(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** The last part of a path, without .gguf. */
function baseName(name: string): string {
  return name.replace(/[/\\]+$/, '').replace(/^.*[/\\]/, '').replace(/\.gguf$/i, '') || 'model';
}

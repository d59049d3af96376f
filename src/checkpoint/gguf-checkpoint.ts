import { missingPart } from '../errors.js';
import { readPieces } from '../formats/bytes.js';
import { isFloatType } from '../formats/floats.js';
import { alignUp, type GgufMetadata } from '../formats/gguf.js';
import type { Family } from '../architectures/family.js';
import type { GgufModel, StoredGgufTensor } from '../formats/gguf-model.js';
import type { I2SLayout } from '../formats/group-blocks.js';
import { BLOCK_WEIGHTS, isTernaryBlock } from '../formats/ternary-blocks.js';
import { checkTensors, decodeFinite, parseOptional, readTable, type Checkpoint, type CheckpointTexts } from './checkpoint.js';
import { blueprintFromMetadata, KEYS, rowAlignmentKey, textValue } from './gguf-metadata.js';
import { readTernaryWeight } from './gguf-ternary.js';
import type { GgufWeight } from './gguf-weight.js';
import { ggufScaleName, ternaryTensors, type TensorSpec } from '../architectures/blueprint.js';

/** A whole model in GGUF, in one file or in parts, which it closes. @param i2sLayout of weights in I2_S; default A. */
export async function openGgufCheckpoint(model: GgufModel, families?: readonly Family[], i2sLayout?: I2SLayout): Promise<Checkpoint> {
  const close = async (): Promise<void> => {
    await Promise.all(model.sources.map((source) => source.close()));
  };
  try {
    return { ...(await readCheckpoint(model, families, i2sLayout)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function readCheckpoint({ name: file, metadata, tensors }: GgufModel, families?: readonly Family[], i2sLayout?: I2SLayout): Promise<Omit<Checkpoint, 'close'>> {
  const generationConfig = textValue(file, metadata, KEYS.generationConfig);
  const blueprint = await blueprintFromMetadata(file, metadata, parseOptional(`${file}: ${KEYS.generationConfig}`, generationConfig), tensors, families);
  const alignment = await rowAlignment(file, metadata);
  checkTensors(file, blueprint, {
    nameOf: (tensor) => tensor.gguf,
    shapeOf: (name) => tensors.get(name)?.shape,
    names: tensors.keys(),
    ternaryShape: ({ gguf, shape: [rows = 0, columns = 0] }) => {
      const stored = tensors.get(gguf);
      const padded = alignUp(columns, alignment);
      return [rows, stored && (isTernaryBlock(stored.type) || stored.shape[1] === padded) ? padded : columns];
    },
    optional: new Set([...ternaryTensors(blueprint).map(ggufScaleName), ...(blueprint.ignored ?? [])]),
  });
  // Only now: a vocabulary takes work, and one that has its embeddings in the file is real.
  const texts = await readTexts(file, metadata, blueprint.config.vocabSize, {
    generationConfig, tokenizerConfig: textValue(file, metadata, KEYS.tokenizerConfig),
    chatTemplates: metadata.has(KEYS.chatTemplate) ? (await import('../chat/template-sources.js').catch(missingPart)).chatTemplateOf({ metadata }) : undefined,
  });

  const at = (tensor: TensorSpec): StoredGgufTensor => tensors.get(tensor.gguf)!; // checkTensors has seen it
  const where = ({ source }: StoredGgufTensor, name: string): string => `${source.name}: tensor "${name}"`;
  const readBytes = ({ source, offset, byteLength }: StoredGgufTensor): Promise<Uint8Array> => source.read(offset, byteLength);

  /** As float32, whatever the type. */
  const readFloats = async (stored: StoredGgufTensor, name: string, tensor?: TensorSpec): Promise<Float32Array> =>
    (isFloatType(stored.type) && !tensor?.ggufTiles ? decodeFinite(where(stored, name), stored.type, await readBytes(stored))
      : (await import('./gguf-block-table.js').catch(missingPart)).readOtherFloats(where(stored, name), stored, tensor));

  /** One scale, or one for each row; none where the blocks have it. */
  const readScales = async (tensor: TensorSpec): Promise<Float32Array | undefined> => {
    const name = ggufScaleName(tensor);
    const stored = tensors.get(name);
    if (!stored) return undefined;
    const count = stored.shape.reduce((product, n) => product * n, 1);
    if (!isFloatType(stored.type) || (count !== 1 && count !== tensor.shape[0])) {
      throw (await import('./gguf-weight-errors.js').catch(missingPart)).scaleError(where(stored, name), stored, tensor);
    }
    return readFloats(stored, name);
  };

  const spare: Uint8Array[] = []; // buffers for pieces, used again
  const weightOf = async (tensor: TensorSpec): Promise<GgufWeight> => {
    const stored = at(tensor);
    const { source, offset, byteLength, type, shape } = stored;
    const [rows = 0, columns = 0] = tensor.shape;
    return {
      where: where(stored, tensor.gguf), type, rows, columns, storedColumns: shape[1]!, scale: await readScales(tensor), i2sLayout, blueprint,
      bytes: (from = 0, length = byteLength) => source.read(offset + from, length),
      pieces: (bytes, length = byteLength) => readPieces(source, offset, length, bytes, spare),
    };
  };
  const grouped = () => import('./gguf-grouped.js').catch(missingPart);
  return {
    name: file,
    blueprint,
    texts,
    stored: { value: [...new Set(ternaryTensors(blueprint).map((tensor) => at(tensor).type))].join(', '), why: 'their types' },
    tableType(tensor) {
      const { type } = at(tensor);
      return isFloatType(type) ? type : 'F32';
    },
    hasRowScales: true,
    storedBytes: (tensor) => at(tensor).byteLength,
    async readTable(tensor, into, reading) {
      const table = at(tensor);
      const name = where(table, tensor.gguf);
      const { type, byteLength } = table;
      if (!isFloatType(type)) return (await import('./gguf-block-table.js').catch(missingPart)).readBlockTable(name, table, into, reading);
      const bytes = into ?? new Uint8Array(byteLength);
      await readTable(name, table, type, bytes, reading);
      return bytes;
    },
    readFloats: (tensor) => readFloats(at(tensor), tensor.gguf, tensor),
    async readTernary(tensor, scales, onRow, reading) {
      const weight = await weightOf(tensor);
      if (tensor.ggufPairs === undefined) return readTernaryWeight(weight, scales, onRow, reading);
      const { readPairedRows } = await import('./gguf-pairs.js').catch(missingPart);
      return readPairedRows(readTernaryWeight, weight, tensor, scales, onRow, reading);
    },
    groupOf: async (tensor, reading) => (await grouped()).ggufGroupOf(await weightOf(tensor), tensor, reading),
    readGrouped: async (tensor, group, scales, onRow, reading) =>
      (await grouped()).readGgufGroups(await weightOf(tensor), tensor, group, scales, onRow, reading),
  };
}

/** With the tokenizer.json inside, or one made of the `tokenizer.ggml.*` keys. */
async function readTexts(file: string, metadata: GgufMetadata, vocabSize: number, others: Omit<CheckpointTexts, 'tokenizer'>): Promise<CheckpointTexts> {
  const tokenizer = textValue(file, metadata, KEYS.tokenizerJson);
  if (tokenizer !== undefined) return { tokenizer, ...others };
  const { textsFromGguf } = await import('./gguf-tokenizer.js').catch(missingPart); // files of ours have no need of it
  return textsFromGguf(file, metadata, vocabSize, others);
}

/** What ternary rows are padded to, where they are. */
async function rowAlignment(file: string, metadata: GgufMetadata): Promise<number> {
  const key = rowAlignmentKey(metadata.get(KEYS.architecture)?.value);
  const value = metadata.get(key)?.value ?? BLOCK_WEIGHTS;
  return value === BLOCK_WEIGHTS ? value : (await import('./gguf-weight-errors.js').catch(missingPart)).otherAlignment(file, key, value);
}

import { ConfigError, FormatError, missingPart, show } from '../errors.js';
import { readPieces } from '../formats/bytes.js';
import { FLOAT_BYTES, type FloatType } from '../formats/floats.js';
import { alignUp, TENSOR_TYPES, type GgufMetadata, type GgufTensorType } from '../formats/gguf.js';
import type { Family } from '../architectures/family.js';
import type { GgufModel, StoredGgufTensor } from '../formats/gguf-model.js';
import { BLOCK_WEIGHTS } from '../formats/ternary-blocks.js';
import { checkFinite, checkTensors, decodeFinite, parseOptional, readTable, type Checkpoint, type CheckpointTexts, type OnRow, type TernaryReading } from './checkpoint.js';
import { blueprintFromMetadata, KEYS, rowAlignmentKey, textValue } from './gguf-metadata.js';
import { isTernary, readTernaryWeight } from './gguf-ternary.js';
import { ggufScaleName, ternaryTensors, type TensorSpec } from '../architectures/blueprint.js';

/** Of a table in blocks, this many are decoded at a time: to 4 MB at most. */
const PIECE_BLOCKS = 4096;

/** A whole model in GGUF, in one file or in parts, which it closes. */
export async function openGgufCheckpoint(model: GgufModel, families?: readonly Family[]): Promise<Checkpoint> {
  const close = async (): Promise<void> => {
    await Promise.all(model.sources.map((source) => source.close()));
  };
  try {
    return { ...(await readCheckpoint(model, families)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function readCheckpoint({ name: file, metadata, tensors }: GgufModel, families?: readonly Family[]): Promise<Omit<Checkpoint, 'close'>> {
  const generationConfig = textValue(file, metadata, KEYS.generationConfig);
  const blueprint = await blueprintFromMetadata(file, metadata, parseOptional(`${file}: ${KEYS.generationConfig}`, generationConfig), tensors, families);
  const alignment = rowAlignment(file, metadata, blueprint.architecture);
  checkTensors(file, blueprint, {
    nameOf: (tensor) => tensor.gguf,
    shapeOf: (name) => tensors.get(name)?.shape,
    names: tensors.keys(),
    ternaryShape: ({ gguf, shape: [rows = 0, columns = 0] }) => {
      const stored = tensors.get(gguf);
      const padded = alignUp(columns, alignment);
      return [rows, stored && (isTernary(stored.type) || stored.shape[1] === padded) ? padded : columns];
    },
    optional: new Set(ternaryTensors(blueprint).map(ggufScaleName)),
  });
  // Only now: a vocabulary takes work, and one that has its embeddings in the file is real.
  const texts = { ...(await tokenizerTexts(file, metadata, blueprint.config.vocabSize)), generationConfig };

  const at = (tensor: TensorSpec): StoredGgufTensor => tensors.get(tensor.gguf)!; // checkTensors has seen it
  const where = ({ source }: StoredGgufTensor, name: string): string => `${source.name}: tensor "${name}"`;
  const readBytes = ({ source, offset, byteLength }: StoredGgufTensor): Promise<Uint8Array> => source.read(offset, byteLength);

  /** As float32, whatever the type. */
  const readFloats = async (stored: StoredGgufTensor, name: string): Promise<Float32Array> => {
    const bytes = await readBytes(stored);
    if (isFloat(stored.type)) return decodeFinite(where(stored, name), stored.type, bytes);
    const values = (await blockDecoder(stored.type))(bytes);
    checkFinite(where(stored, name), 'F32', new Uint8Array(values.buffer));
    return values;
  };

  /** One scale, or one for each row; none where the blocks have it. */
  const readScales = async (tensor: TensorSpec): Promise<Float32Array | undefined> => {
    const name = ggufScaleName(tensor);
    const stored = tensors.get(name);
    if (!stored) return undefined;
    const count = stored.shape.reduce((product, n) => product * n, 1);
    if (!isFloat(stored.type) || (count !== 1 && count !== tensor.shape[0])) {
      throw new FormatError(`${where(stored, name)} must be one number or ${tensor.shape[0]}, F32, F16 or BF16; it is ${stored.type} [${stored.shape}]`);
    }
    return readFloats(stored, name);
  };

  const spare: Uint8Array[] = []; // buffers for pieces, used again
  return {
    name: file,
    blueprint,
    texts,
    stored: { value: [...new Set(ternaryTensors(blueprint).map((tensor) => at(tensor).type))].join(', '), why: 'their types' },
    tableType: (tensor) => (isFloat(at(tensor).type) ? at(tensor).type as FloatType : 'F32'),
    hasRowScales: true,
    storedBytes: (tensor) => at(tensor).byteLength,
    async readTable(tensor, into, reading) {
      const table = at(tensor);
      const name = where(table, tensor.gguf);
      const { type, byteLength } = table;
      if (isFloat(type)) {
        const bytes = into ?? new Uint8Array(byteLength);
        await readTable(name, table, type, bytes, reading);
        return bytes;
      }
      const { blockSize, blockBytes } = TENSOR_TYPES[type];
      const bytes = into ?? new Uint8Array((byteLength / blockBytes) * blockSize * 4);
      const toFloats = await blockDecoder(type);
      const decode = (piece: Uint8Array): Uint8Array => new Uint8Array(toFloats(piece).buffer);
      await readTable(name, { ...table, decode, pieceBytes: PIECE_BLOCKS * blockBytes }, 'F32', bytes, reading);
      return bytes;
    },
    readFloats: (tensor) => readFloats(at(tensor), tensor.gguf),
    async readTernary(tensor, scales, onRow, reading) {
      const stored = at(tensor);
      const [rows = 0, columns = 0] = tensor.shape;
      const scale = await readScales(tensor);
      const read = (onStoredRow: OnRow, storedReading: TernaryReading | undefined): Promise<void> => readTernaryWeight({
        where: where(stored, tensor.gguf), type: stored.type, rows, columns, storedColumns: stored.shape[1]!, scale,
        bytes: () => readBytes(stored),
        pieces: (bytes) => readPieces(stored.source, stored.offset, stored.byteLength, bytes, spare),
      }, scales, onStoredRow, storedReading);
      if (tensor.ggufPairs === undefined) return read(onRow, reading);
      const { readPairedRows } = await import('./gguf-pairs.js').catch(missingPart);
      return readPairedRows(tensor, scales, onRow, reading, read);
    },
  };
}

/** Makes float32 of whole blocks. */
async function blockDecoder(type: GgufTensorType): Promise<(bytes: Uint8Array) => Float32Array> {
  const { blockSize, blockBytes } = TENSOR_TYPES[type];
  const { decodeGgufFloats } = await import('../formats/gguf-floats.js').catch(missingPart);
  return (bytes) => {
    const values = new Float32Array((bytes.length / blockBytes) * blockSize);
    decodeGgufFloats(type, bytes, 0, values.length, values);
    return values;
  };
}

function isFloat(type: string): type is FloatType {
  return type in FLOAT_BYTES;
}

/** The tokenizer.json inside, or one made of the `tokenizer.ggml.*` keys. */
async function tokenizerTexts(
  file: string, metadata: GgufMetadata, vocabSize: number,
): Promise<Omit<CheckpointTexts, 'generationConfig'>> {
  const tokenizer = textValue(file, metadata, KEYS.tokenizerJson);
  const tokenizerConfig = textValue(file, metadata, KEYS.tokenizerConfig);
  if (tokenizer !== undefined) return { tokenizer, tokenizerConfig };
  const { tokenizerFromGguf } = await import('./gguf-tokenizer.js').catch(missingPart); // files of ours have no need of it
  const made = tokenizerFromGguf(file, metadata, vocabSize);
  return {
    tokenizer: made?.tokenizer, tokenizerConfig: tokenizerConfig ?? made?.tokenizerConfig,
    tokenizerName: `${file}: tokenizer.ggml.*, as a tokenizer.json`,
  };
}

/** What ternary rows are padded to, where they are. */
function rowAlignment(file: string, metadata: GgufMetadata, architecture: string): number {
  const key = rowAlignmentKey(architecture);
  const value = metadata.get(key)?.value ?? BLOCK_WEIGHTS;
  if (typeof value === 'number' && value > 0 && value <= 65536 && value % BLOCK_WEIGHTS === 0) return value;
  throw new ConfigError(`${file}: metadata key ${key} is ${show(value)}, not a multiple of ${BLOCK_WEIGHTS} up to 65536`);
}

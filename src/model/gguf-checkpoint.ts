import { FormatError } from '../errors.js';
import type { ByteSource } from '../formats/bytes.js';
import type { FloatType } from '../formats/floats.js';
import { alignUp } from '../formats/gguf.js';
import { readGguf, type GgufTensor } from '../formats/gguf-reader.js';
import { BLOCK_WEIGHTS, decodeTernaryRow, ternaryRowBytes, type TernaryBlockType } from '../formats/ternary-blocks.js';
import { Pace } from '../pace.js';
import { checkFinite, checkTensors, decodeFinite, parseOptional, type Checkpoint } from './checkpoint.js';
import { configFromMetadata, KEYS, textValue } from './gguf-metadata.js';
import { quantizeTernary } from './quantize.js';
import { ggufScaleName, modelSpec, ternarySpecs, type TensorSpec } from './tensor-names.js';

/** A whole model in one GGUF file. */
export async function openGgufCheckpoint(source: ByteSource): Promise<Checkpoint> {
  const { metadata, tensors } = await readGguf(source);
  const file = source.name;
  const texts = {
    tokenizer: textValue(file, metadata, KEYS.tokenizerJson),
    tokenizerConfig: textValue(file, metadata, KEYS.tokenizerConfig),
    generationConfig: textValue(file, metadata, KEYS.generationConfig),
  };
  const config = configFromMetadata(file, metadata, parseOptional(`${file}: ${KEYS.generationConfig}`, texts.generationConfig));
  const spec = modelSpec(config);
  const ternary = ternarySpecs(spec).filter(({ gguf }) => isTernary(tensors.get(gguf)));
  checkTensors(file, spec, {
    nameOf: (tensor) => tensor.gguf,
    shapeOf: (name) => tensors.get(name)?.shape,
    names: tensors.keys(),
    ternaryShape: ({ gguf, shape: [rows = 0, columns = 0] }) =>
      isTernary(tensors.get(gguf)) ? [rows, alignUp(columns, BLOCK_WEIGHTS)] : [rows, columns],
    optional: new Set(ternary.map(ggufScaleName)), // a weight in floats is quantised here, with a scale of its own
  });

  const at = (tensor: TensorSpec): GgufTensor => tensors.get(tensor.gguf)!; // checkTensors has seen it
  const where = (tensor: TensorSpec): string => `${file}: tensor "${tensor.gguf}"`;
  const floatType = (tensor: TensorSpec): FloatType => {
    const { type } = at(tensor);
    if (type === 'TQ1_0' || type === 'TQ2_0') throw new FormatError(`${where(tensor)} is ${type}; it must be F32, F16 or BF16`);
    return type;
  };
  const readBytes = (tensor: TensorSpec): Promise<Uint8Array> => source.read(at(tensor).offset, at(tensor).byteLength);

  const readScale = async (tensor: TensorSpec): Promise<number> => {
    const name = ggufScaleName(tensor);
    const entry = tensors.get(name);
    if (!entry) return 1;
    if (entry.type !== 'F32' || entry.byteLength !== 4) {
      throw new FormatError(`${file}: tensor "${name}" must be one F32 number, it is ${entry.type} [${entry.shape}]`);
    }
    return decodeFinite(`${file}: tensor "${name}"`, 'F32', await source.read(entry.offset, 4))[0]!;
  };

  return {
    name: file,
    config,
    spec,
    texts,
    embeddingType: floatType(spec.embeddings),
    storedBytes: (tensor) => at(tensor).byteLength,
    async readEmbeddings() {
      const bytes = await readBytes(spec.embeddings);
      checkFinite(where(spec.embeddings), floatType(spec.embeddings), bytes, config.hiddenSize);
      return bytes;
    },
    async readFloats(tensor) {
      return decodeFinite(where(tensor), floatType(tensor), await readBytes(tensor));
    },
    async readTernary(tensor, scales, onRow, pace) {
      const [rows = 0, columns = 0] = tensor.shape;
      const { type } = at(tensor);
      const bytes = await readBytes(tensor);
      if (type === 'TQ1_0' || type === 'TQ2_0') {
        await decodeTernary(where(tensor), type, bytes, columns, await readScale(tensor), scales, onRow, pace);
      } else {
        scales.fill(await quantizeTernary(where(tensor), type, bytes, rows, columns, onRow, pace));
      }
    },
    close: () => source.close(),
  };
}

function isTernary(tensor: GgufTensor | undefined): boolean {
  return tensor?.type === 'TQ1_0' || tensor?.type === 'TQ2_0';
}

/** The weight is trit · d · scale: `d` stands in each block, `scale` in a tensor of its own (formats.md, "GGUF"). */
async function decodeTernary(
  where: string, type: TernaryBlockType, bytes: Uint8Array, columns: number, scale: number, scales: Float32Array,
  onRow: (row: number, trits: Int8Array) => void, pace = new Pace(),
): Promise<void> {
  const padded = alignUp(columns, BLOCK_WEIGHTS);
  const trits = new Int8Array(padded);
  const rowBytes = ternaryRowBytes(type, padded);
  for (let row = 0; row < scales.length; row++) {
    if (pace.isDue) await pace.giveWay();
    const d = decodeTernaryRow(type, bytes, row * rowBytes, trits);
    if (!Number.isFinite(d)) {
      throw new FormatError(`${where}, row ${row}: its blocks have different scales, or a code that no weight has`);
    }
    for (let j = columns; j < padded; j++) {
      if (trits[j] !== 0) throw new FormatError(`${where}, row ${row}: the padding after column ${columns} is not zero`);
    }
    scales[row] = d * scale;
    if (!Number.isFinite(scales[row])) throw new FormatError(`${where}, row ${row}: the scale ${d} · ${scale} is beyond float32`);
    onRow(row, trits);
  }
}

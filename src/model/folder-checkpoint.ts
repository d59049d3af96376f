import { FormatError, SourceError } from '../errors.js';
import { parseJsonObject, type FileSet } from '../formats/bytes.js';
import { FLOAT_BYTES, roundF64, type FloatType } from '../formats/floats.js';
import { openWeights } from '../formats/shards.js';
import { readTensor, type StoredTensor } from '../formats/stored-tensor.js';
import { checkFinite, checkTensors, decodeFinite, parseOptional, readOptionalText, readTable, type Checkpoint } from './checkpoint.js';
import { parseConfig } from './config.js';
import { quantizeTernary } from './quantize.js';
import { modelSpec, type TensorSpec } from './tensor-names.js';

/** A folder in Hugging Face layout: config.json, safetensors or PyTorch weights in one file or shards, and the tokenizer's files. */
export async function openFolderCheckpoint(files: FileSet): Promise<Checkpoint> {
  const configText = (await readOptionalText(files, 'config.json')) ?? '';
  const generationConfig = await readOptionalText(files, 'generation_config.json');
  const config = parseConfig(
    'config.json', parseJsonObject('config.json', configText), parseOptional('generation_config.json', generationConfig),
  );
  const texts = {
    tokenizer: await readOptionalText(files, 'tokenizer.json'),
    tokenizerConfig: await readOptionalText(files, 'tokenizer_config.json'),
    generationConfig,
  };
  const spec = modelSpec(config);
  const opened = await openWeights(files);
  if (!opened) {
    throw new SourceError(
      `${files.name}: has config.json but neither model.safetensors nor model.safetensors.index.json, nor pytorch_model.bin or its index`,
    );
  }
  const { tensors, sources } = opened;
  const close = async (): Promise<void> => {
    await Promise.all(sources.map((source) => source.close()));
  };

  const at = (tensor: TensorSpec): StoredTensor => tensors.get(tensor.hf)!; // checkTensors has seen it
  const where = (tensor: TensorSpec): string => `${at(tensor).source.name}: tensor "${tensor.hf}"`;
  const floatType = (tensor: TensorSpec): FloatType => {
    const { dtype } = at(tensor);
    if (dtype === 'F64') return 'F32'; // as it is read
    if (!isFloatType(dtype)) throw new FormatError(`${where(tensor)} has dtype ${dtype}; weights must be F64, F32, F16 or BF16`);
    return dtype;
  };
  const readBytes = async (tensor: TensorSpec): Promise<Uint8Array> => {
    const bytes = await readTensor(where(tensor), at(tensor));
    return at(tensor).dtype === 'F64' ? roundF64(bytes) : bytes;
  };

  try {
    checkTensors(files.name, spec, {
      nameOf: (tensor) => tensor.hf,
      shapeOf: (name) => tensors.get(name)?.shape,
      names: tensors.keys(),
      ternaryShape: (tensor) => tensor.shape,
      optional: new Set(),
    });
    return {
      name: files.name,
      config,
      spec,
      texts,
      embeddingType: floatType(spec.embeddings),
      storedBytes: (tensor) => at(tensor).byteLength,
      async readEmbeddings(into, reading) {
        const tensor = spec.embeddings;
        const type = floatType(tensor);
        const { source, offset, byteLength, dtype, strides } = at(tensor);
        if (strides) {
          const bytes = await readBytes(tensor);
          checkFinite(where(tensor), type, bytes);
          return bytes;
        }
        const decode = dtype === 'F64' ? roundF64 : undefined;
        const table = into ?? new Uint8Array(decode ? byteLength / 2 : byteLength);
        await readTable(where(tensor), { source, offset, byteLength, decode }, type, table, reading);
        return table;
      },
      async readFloats(tensor) {
        return decodeFinite(where(tensor), floatType(tensor), await readBytes(tensor));
      },
      async readTernary(tensor, scales, onRow, reading) {
        const type = floatType(tensor);
        const [rows = 0, columns = 0] = tensor.shape;
        scales.fill(await quantizeTernary(where(tensor), type, await readBytes(tensor), rows, columns, onRow, reading?.pace));
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function isFloatType(dtype: string): dtype is FloatType {
  return dtype in FLOAT_BYTES;
}

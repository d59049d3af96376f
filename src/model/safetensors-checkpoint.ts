import { FormatError, SourceError } from '../errors.js';
import { parseJsonObject, type FileSet } from '../formats/bytes.js';
import { FLOAT_BYTES, type FloatType } from '../formats/floats.js';
import { openSafetensors, type StoredTensor } from '../formats/shards.js';
import { checkFinite, checkTensors, decodeFinite, parseOptional, readOptionalText, type Checkpoint } from './checkpoint.js';
import { parseConfig } from './config.js';
import { quantizeTernary } from './quantize.js';
import { modelSpec, type TensorSpec } from './tensor-names.js';

/** A folder in Hugging Face layout: config.json, safetensors in one file or shards, and the tokenizer's files. */
export async function openSafetensorsCheckpoint(files: FileSet): Promise<Checkpoint> {
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
  const opened = await openSafetensors(files);
  if (!opened) {
    const bin = (await files.list()).some((name) => name.endsWith('.bin'));
    throw new SourceError(
      `${files.name}: has config.json but neither model.safetensors nor model.safetensors.index.json` +
        (bin ? '; PyTorch .bin checkpoints are not supported yet: save it as safetensors' : ''),
    );
  }
  const { tensors, sources } = opened;
  const close = async (): Promise<void> => {
    await Promise.all(sources.map((source) => source.close()));
  };

  const stored = (tensor: TensorSpec): StoredTensor & { type: FloatType; where: string } => {
    const found = tensors.get(tensor.hf)!; // checkTensors has seen it
    const where = `${found.source.name}: tensor "${tensor.hf}"`;
    if (!isFloatType(found.dtype)) {
      throw new FormatError(`${where} has dtype ${found.dtype}; weights must be F32, F16 or BF16`);
    }
    return { ...found, type: found.dtype, where };
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
      embeddingType: stored(spec.embeddings).type,
      storedBytes: (tensor) => tensors.get(tensor.hf)!.byteLength,
      async readEmbeddings() {
        const { source, offset, byteLength, type, where } = stored(spec.embeddings);
        const bytes = await source.read(offset, byteLength);
        checkFinite(where, type, bytes, config.hiddenSize);
        return bytes;
      },
      async readFloats(tensor) {
        const { source, offset, byteLength, type, where } = stored(tensor);
        return decodeFinite(where, type, await source.read(offset, byteLength));
      },
      async readTernary(tensor, scales, onRow, pace) {
        const { source, offset, byteLength, type, where } = stored(tensor);
        const bytes = await source.read(offset, byteLength);
        const [rows = 0, columns = 0] = tensor.shape;
        scales.fill(await quantizeTernary(where, type, bytes, rows, columns, onRow, pace));
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

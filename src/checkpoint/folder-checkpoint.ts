import { FormatError, missingPart, SourceError } from '../errors.js';
import { parseJsonObject, type FileSet } from '../formats/bytes.js';
import { isFloatType, roundF64, type FloatType } from '../formats/floats.js';
import { openWeights } from '../formats/shards.js';
import { readTensor, type StoredTensor } from '../formats/stored-tensor.js';
import { Pace } from '../platform/pace.js';
import { checkFinite, checkTensors, decodeFinite, parseOptional, readOptionalText, readTable, type Checkpoint } from './checkpoint.js';
import { quantizeTernary } from './quantize.js';
import { groupOf, readGroups, type StoredGroups } from './grouped.js';
import { hfScaleName, ternaryTensors, type TensorSpec } from '../architectures/blueprint.js';
import type { Family } from '../architectures/family.js';
import { parseConfig } from '../architectures/parse-config.js';

/** A folder in Hugging Face layout: config.json, safetensors or PyTorch weights in one file or shards, and the tokenizer's files. */
export async function openFolderCheckpoint(files: FileSet, families?: readonly Family[]): Promise<Checkpoint> {
  const configText = (await readOptionalText(files, 'config.json')) ?? '';
  const configJson = parseJsonObject('config.json', configText);
  const generationConfig = await readOptionalText(files, 'generation_config.json');
  const quantization = configJson['quantization_config'] ?? undefined;
  const chatTemplate = await readOptionalText(files, 'chat_template.jinja');
  const texts = {
    config: configText,
    tokenizer: await readOptionalText(files, 'tokenizer.json'),
    tokenizerConfig: await readOptionalText(files, 'tokenizer_config.json'),
    generationConfig,
    chatTemplates: chatTemplate === undefined ? undefined : (await import('../chat/template-sources.js').catch(missingPart)).chatTemplateOf({ jinja: chatTemplate, additional: await additionalTemplates(files) }),
  };
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

  const at = (name: string): StoredTensor => tensors.get(name)!; // checkTensors has seen it
  const where = (name: string): string => `${at(name).source.name}: tensor "${name}"`;
  const floatType = (name: string): FloatType => {
    const { dtype } = at(name);
    if (dtype === 'F64') return 'F32'; // as it is read
    if (!isFloatType(dtype)) throw new FormatError(`${where(name)} has dtype ${dtype}; weights must be F64, F32, F16 or BF16`);
    return dtype;
  };
  const readBytes = async (name: string): Promise<Uint8Array> => {
    const bytes = await readTensor(where(name), at(name));
    return at(name).dtype === 'F64' ? roundF64(bytes) : bytes;
  };
  const readFloats = async (name: string): Promise<Float32Array> => decodeFinite(where(name), floatType(name), await readBytes(name));

  try {
    const blueprint = await parseConfig('config.json', configJson, { generation: parseOptional('generation_config.json', generationConfig), tensors, families });
    // Most checkpoints are floats.
    const isQuantized = quantization !== undefined || [...tensors.values()].some(({ dtype }) => dtype === 'U8');
    const packed = isQuantized ? (await import('./packed-weights.js').catch(missingPart)).findPackedWeights(files.name, quantization, blueprint, tensors) : undefined;
    checkTensors(files.name, blueprint, {
      nameOf: (tensor) => tensor.hf,
      shapeOf: (name) => {
        const shape = tensors.get(name)?.shape;
        return shape?.length === 3 && shape[1] === 1 ? [shape[0]!, shape[2]!] : shape; // a convolution of each channel by itself has one input
      },
      names: tensors.keys(),
      ternaryShape: (tensor) => (packed?.has(tensor) ? packed.shapeOf(tensor) : tensor.shape),
      optional: new Set([...(packed?.scaleNames ?? []), ...(blueprint.ignored ?? [])]),
    });
    const storedGroups = async (tensor: TensorSpec): Promise<StoredGroups> => {
      const { floatGroups, packedGroups } = await import('./folder-grouped.js').catch(missingPart);
      const { hf } = tensor;
      if (!packed?.has(tensor)) return floatGroups(where(hf), tensor, at(hf), floatType(hf));
      return packedGroups(where(hf), tensor, packed, () => readBytes(hf), await readFloats(hfScaleName(tensor)));
    };
    return {
      name: files.name,
      blueprint,
      texts,
      stored: packed?.stored ?? {
        value: `floats, ${ternaryTensors(blueprint).some(({ isGrouped }) => isGrouped) ? 'ternary in groups of columns, taken as they are' : 'quantised by their mean magnitude as they are read'}`,
        why: 'the tensors are floats',
      },
      tableType: ({ hf }) => floatType(hf),
      hasRowScales: packed !== undefined,
      storedBytes: (tensor) => at(tensor.hf).byteLength,
      async readTable({ hf }, into, reading) {
        const type = floatType(hf);
        const { source, offset, byteLength, dtype, strides } = at(hf);
        if (strides) {
          const bytes = await readBytes(hf);
          checkFinite(where(hf), type, bytes);
          return bytes;
        }
        const decode = dtype === 'F64' ? roundF64 : undefined;
        const table = into ?? new Uint8Array(decode ? byteLength / 2 : byteLength);
        await readTable(where(hf), { source, offset, byteLength, decode }, type, table, reading);
        return table;
      },
      async readFloats({ hf, hfFloats }) {
        const values = await readFloats(hf);
        return hfFloats ? (await import('./folder-floats.js').catch(missingPart)).asComputed(hfFloats, values) : values;
      },
      async readTernary(tensor, scales, onRow, reading = {}) {
        const { pace = new Pace() } = reading;
        const { hf, shape: [rows = 0, columns = 0] } = tensor;
        if (packed?.has(tensor)) {
          const values = await readFloats(hfScaleName(tensor));
          if (values.length !== 1 && values.length !== rows) throw new FormatError(`${where(hfScaleName(tensor))} must be one number or ${rows}; it is [${at(hfScaleName(tensor)).shape}]`);
          return packed.read(where(hf), tensor, await readBytes(hf), values, scales, onRow, reading);
        }
        const scale = await quantizeTernary(where(hf), floatType(hf), await readBytes(hf), rows, columns, onRow, pace);
        scales.fill(blueprint.roundsScales ? (await import('../formats/rounding.js').catch(missingPart)).createRounding().round(floatType(hf), scale) : scale);
      },
      groupOf: async (tensor, reading) => groupOf(await storedGroups(tensor), reading),
      readGrouped: async (tensor, group, scales, onRow, reading) => readGroups(await storedGroups(tensor), group, scales, onRow, reading),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** `additional_chat_templates/NAME.jinja`, by NAME. */
async function additionalTemplates(files: FileSet): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const file of await files.list()) {
    const [, name] = /^additional_chat_templates\/([^/]+)\.jinja$/.exec(file) ?? [];
    const text = name === undefined ? undefined : await readOptionalText(files, file);
    if (text !== undefined) found[name!] = text;
  }
  return found;
}

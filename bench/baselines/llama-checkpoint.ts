import { ConfigError, decodeFloats, FormatError, readTensor, type FloatType } from 'matmulfree';
import { isJsonObject, parseJsonObject, readText, type FileSet, type JsonObject } from '../../src/formats/bytes.js';
import { FLOAT_BYTES } from '../../src/formats/floats.js';
import { openWeights } from '../../src/formats/shards.js';
import type { WeightSource } from './build-model.js';
import type { TransformerConfig } from './transformer.js';

/** A trained transformer in Hugging Face's layout. */
export interface LlamaCheckpoint {
  readonly config: TransformerConfig;
  readonly weights: WeightSource;
  close(): Promise<void>;
}

const MAX_CONFIG_BYTES = 1 << 20;

/** @throws ConfigError, FormatError for what is no Llama, or one of a kind that the baseline is not. */
export async function openLlama(files: FileSet): Promise<LlamaCheckpoint> {
  const file = await files.open('config.json');
  const opened = await openWeights(files);
  if (!file || !opened) throw new FormatError(`${files.name}: no config.json, or no weights`);
  const config = llamaConfig(files.name, parseJsonObject('config.json', await readText(file, MAX_CONFIG_BYTES).finally(() => file.close())));
  const read = async (name: string, shape: readonly number[]): Promise<Float32Array> => {
    const tensor = opened.tensors.get(name);
    const where = `${files.name}: tensor "${name}"`;
    if (!tensor || tensor.shape.join() !== shape.join()) throw new ConfigError(`${where} [${shape}] is missing, or has another shape`);
    if (!(tensor.dtype in FLOAT_BYTES)) throw new FormatError(`${where} has dtype ${tensor.dtype}; weights must be F32, F16 or BF16`);
    const values = new Float32Array(shape.reduce((product, n) => product * n, 1));
    decodeFloats(tensor.dtype as FloatType, await readTensor(where, tensor), 0, values.length, values);
    return values;
  };
  return {
    config,
    weights: {
      readVector: (name, width) => read(name, [width]),
      async readRows(name, rows, columns, onRow) {
        const values = await read(name, [rows, columns]);
        for (let row = 0; row < rows; row++) onRow(row, values.subarray(row * columns, (row + 1) * columns));
      },
    },
    close: async () => void (await Promise.all(opened.sources.map((source) => source.close()))),
  };
}

function llamaConfig(name: string, json: JsonObject): TransformerConfig {
  const size = (key: string, object: JsonObject = json): number => {
    const value = object[key];
    if (!(typeof value === 'number' && value > 0)) throw new ConfigError(`${name}: ${key} is not a positive number`);
    return value;
  };
  const demand = (key: string, ...values: readonly unknown[]): void => {
    if (!values.includes(json[key])) throw new ConfigError(`${name}: ${key} is ${JSON.stringify(json[key])}; the baseline takes ${JSON.stringify(values[0])}`);
  };
  demand('model_type', 'llama');
  demand('hidden_act', 'silu');
  for (const key of ['attention_bias', 'mlp_bias', 'tie_word_embeddings']) demand(key, false, undefined);
  demand('rope_scaling', undefined, null);
  const heads = size('num_attention_heads');
  demand('num_key_value_heads', heads, undefined);
  const rope = isJsonObject(json['rope_parameters']) ? json['rope_parameters'] : json;
  return {
    name, heads,
    hiddenSize: size('hidden_size'), intermediateSize: size('intermediate_size'), layers: size('num_hidden_layers'),
    headSize: json['head_dim'] === undefined ? size('hidden_size') / heads : size('head_dim'),
    vocabSize: size('vocab_size'), rmsNormEps: size('rms_norm_eps'), ropeTheta: size('rope_theta', rope),
  };
}

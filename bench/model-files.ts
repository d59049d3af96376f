import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { GgufMetadata } from '../src/formats/gguf.js';
import { writeGguf, type GgufTensorToWrite } from '../src/formats/gguf-writer.js';
import { writeSafetensors } from '../src/formats/safetensors-writer.js';
import type { TensorToWrite } from '../src/formats/stored-tensor.js';
import { ternaryRowBytes } from '../src/formats/ternary-blocks.js';
import { encodeTernaryRow } from '../src/formats/ternary-encoder.js';
import { ggufScaleName, parameters } from '../src/architectures/blueprint.js';
import { KEYS } from '../src/checkpoint/gguf-metadata.js';
import { metadataOf } from '../src/convert/gguf-keys.js';
import { randomWeights } from './baselines/random-transformer.js';
import type { TransformerConfig } from './baselines/transformer.js';
import { randomCheckpoint, type ShapeName } from './random-model.js';

/* Files of the published sizes with random weights, to be loaded: a ternary GGUF, and a transformer in Hugging Face's layout. */

const asBytes = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array => new Uint8Array(buffer, byteOffset, byteLength);

/** 2 bits a weight, embeddings in bfloat16, without a tokenizer. @returns the file. */
export async function writeTernaryFile(folder: string, shape: ShapeName, layers?: number): Promise<string> {
  const { blueprint, readTernary, readTable, readFloats } = randomCheckpoint(shape, layers);
  const metadata: GgufMetadata = new Map([
    [KEYS.architecture, { type: 'string', value: blueprint.architecture }], ...(await metadataOf(blueprint)), [KEYS.eosTokenId, { type: 'u32', value: 2 }],
  ]);
  const tensors = parameters(blueprint).flatMap(({ tensor, held }): GgufTensorToWrite[] => {
    const { gguf: name, shape: dimensions } = tensor;
    if (held === 'table') return [{ name, type: 'BF16', shape: dimensions, bytes: () => readTable(tensor) }];
    if (held !== 'ternary') return [{ name, type: 'F32', shape: dimensions, bytes: async () => asBytes(await readFloats(tensor)) }];
    const [rows = 0, columns = 0] = dimensions;
    const rowBytes = ternaryRowBytes('TQ2_0', columns);
    return [
      { name: ggufScaleName(tensor), type: 'F32', shape: [1], bytes: async () => asBytes(Float32Array.of(1 / Math.sqrt(columns))) },
      {
        name, type: 'TQ2_0', shape: dimensions,
        async bytes() {
          const bytes = new Uint8Array(rows * rowBytes);
          await readTernary(tensor, new Float32Array(rows), (row, trits) => encodeTernaryRow('TQ2_0', trits, bytes, row * rowBytes));
          return bytes;
        },
      },
    ];
  });
  const file = join(folder, `random-${shape}.gguf`);
  await pipeline(Readable.from(writeGguf(metadata, tensors)), createWriteStream(file));
  return file;
}

/** config.json and one safetensors file in float32, with the weights of `randomWeights(1)`. @returns the folder. */
export async function writeTransformerFiles(folder: string, config: TransformerConfig): Promise<string> {
  const source = randomWeights(1);
  const tensors = tensorsOf(config).map(([name, dimensions]): TensorToWrite<string> => ({
    name, type: 'F32', shape: dimensions,
    async bytes() {
      const [rows = 0, columns] = dimensions;
      if (columns === undefined) return asBytes(await source.readVector(name, rows));
      const values = new Float32Array(rows * columns);
      await source.readRows(name, rows, columns, (row, some) => values.set(some, row * columns));
      return asBytes(values);
    },
  }));
  const place = join(folder, 'random-transformer');
  await mkdir(place);
  await writeFile(join(place, 'config.json'), JSON.stringify({
    model_type: 'llama', hidden_act: 'silu', hidden_size: config.hiddenSize, intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers, num_attention_heads: config.heads, head_dim: config.headSize, vocab_size: config.vocabSize, rms_norm_eps: config.rmsNormEps,
    rope_theta: config.ropeTheta,
  }));
  await pipeline(Readable.from(writeSafetensors(tensors, {})), createWriteStream(join(place, 'model.safetensors')));
  return place;
}

function tensorsOf({ hiddenSize: D, intermediateSize: F, layers, heads, headSize, vocabSize: V }: TransformerConfig): [string, readonly number[]][] {
  const width = heads * headSize;
  const ofLayer = (n: number): [string, readonly number[]][] => [
    [`model.layers.${n}.input_layernorm.weight`, [D]], [`model.layers.${n}.post_attention_layernorm.weight`, [D]],
    ...['q', 'k', 'v'].map((which): [string, readonly number[]] => [`model.layers.${n}.self_attn.${which}_proj.weight`, [width, D]]),
    [`model.layers.${n}.self_attn.o_proj.weight`, [D, width]],
    [`model.layers.${n}.mlp.gate_proj.weight`, [F, D]], [`model.layers.${n}.mlp.up_proj.weight`, [F, D]], [`model.layers.${n}.mlp.down_proj.weight`, [D, F]],
  ];
  return [
    ['model.embed_tokens.weight', [V, D]], ...Array.from({ length: layers }, (_, n) => ofLayer(n)).flat(),
    ['model.norm.weight', [D]], ['lm_head.weight', [V, D]],
  ];
}

import { readFileSync } from 'node:fs';
import { json, type Files } from './checkpoints.js';
import { readTensors, shared } from './files.js';
import { storedSafetensors } from './group-files.js';
import { encodeExactly } from './group-blocks.js';

const ROTATED = 'models/tiny/qwen35-rotated';
export const ROTATED_BLOCK = 128;

/** The signs that the golden model was rotated with, by width. */
export function rotatedSigns(): Map<number, readonly number[]> {
  const tensors = readTensors(shared(`${ROTATED}/model.safetensors`));
  return new Map(Object.entries(tensors).filter(([name]) => name.startsWith('prism.signs.')).map(([name, { values }]) => [Number(name.slice(12)), Array.from(values)]));
}

/** As `convertToSafetensors` keeps a rotation: in config.json. */
export function rotatedFolder(): Files {
  const config = JSON.parse(readFileSync(shared(`${ROTATED}/config.json`), 'utf8')) as Record<string, unknown>;
  const tensors = Object.entries(readTensors(shared(`${ROTATED}/model.safetensors`))).filter(([name]) => !name.startsWith('prism.'));
  const signs = rotatedSigns();
  const rotation = {
    version: 1, block_size: ROTATED_BLOCK, transform: 'normalized-sylvester-walsh-hadamard', axis: 'input-last-dimension', sign_mode: 'explicit',
    sign_widths: [...signs.keys()], sign_values: [...signs.values()].flat().map((sign) => (sign < 0 ? '-' : '+')).join(''),
    weight_names: rotatedNames(Number(config['num_hidden_layers'])), inverse_weight_names: ['token_embd.weight'], gdn_v_grouped: true,
  };
  return {
    'config.json': json({ ...config, prism_hadamard: rotation }),
    'model.safetensors': storedSafetensors(tensors.map(([name, { shape, values }]) => ({ name, dtype: 'F16', shape, bytes: encodeExactly('F16', Float32Array.from(values)) }))),
  };
}

/** Names in GGUF of the weights of the tiny model that are rotated: all ternary ones. */
export function rotatedNames(layers: number): string[] {
  const names = ['output.weight'];
  for (let n = 0; n < layers; n++) {
    const mixer = (n + 1) % 4 === 0 ? ['attn_q', 'attn_k', 'attn_v', 'attn_output'] : ['attn_qkv', 'attn_gate', 'ssm_out'];
    names.push(...[...mixer, 'ffn_gate', 'ffn_up', 'ffn_down'].map((name) => `blk.${n}.${name}.weight`));
  }
  return names;
}

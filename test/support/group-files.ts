import { assemble, json, type Files } from './checkpoints.js';
import { encodeExactly, encodeWeight, fits, groupsOf, spoil, type BlockOptions, type Format } from './group-blocks.js';
import { gguf, type Entry, type FileToWrite, type TensorToWrite } from './gguf-files.js';
import type { Tensors } from './reference-parts.js';
import { isProjection, randomQwen3, SMALL_QWEN3, type TernaryModel, type TernaryTensor } from './ternary-models.js';
import { torchFile, type TorchStorage, type TorchTensor } from './torch-file.js';

/*
 * A ternary model as the files in which such models are published: Hugging Face folders and GGUF (bonsai.md §2.7, ternary-transformers.md
 * §3, §4). Nothing is lost in writing: what a format does not hold exactly is an error.
 */

/** config.json and safetensors of plain floats. */
export function floatFolder({ config, tensors }: TernaryModel, type: 'F16' | 'BF16' | 'F32' = 'F16'): Files {
  const stored = Object.entries(tensors).map(([name, { shape, values }]) => ({ name, dtype: type, shape, bytes: encodeExactly(type, values) }));
  return { 'config.json': json({ ...config, dtype: { F16: 'float16', BF16: 'bfloat16', F32: 'float32' }[type] }), 'model.safetensors': storedSafetensors(stored) };
}

/** config.json and pytorch_model.bin of float16. */
export function torchFolder({ config, tensors }: TernaryModel): Files {
  const views: Record<string, TorchTensor> = {};
  const storages: Record<string, TorchStorage> = {};
  Object.entries(tensors).forEach(([name, { shape, values }], i) => {
    views[name] = { storage: String(i), shape };
    storages[i] = { type: 'HalfStorage', bytes: encodeExactly('F16', values) };
  });
  return { 'config.json': json(config), 'pytorch_model.bin': torchFile(views, storages) };
}

/** config.json and safetensors with packed projections, the scale a factor or a divisor as the configuration says; all else float32. */
export function packedFolder(model: TernaryModel, edit = (tensors: Tensors): Tensors => tensors): Files {
  const stored = Object.entries(edit(packedTensors(model))).map(([name, { shape, values, dtype = 'F32' }]) => ({
    name, dtype, shape, bytes: dtype === 'U8' ? Uint8Array.from(values) : encodeExactly('F32', values),
  }));
  return { 'config.json': json(model.config), 'model.safetensors': storedSafetensors(stored) };
}

/** The same tensors as `runDecoderReference` takes them. */
export function packedTensors({ config, tensors }: TernaryModel): Tensors {
  const isFactor = (config['quantization_config'] as Record<string, unknown> | undefined)?.['linear_class'] === 'autobitlinear';
  const packed: Tensors = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    if (!isProjection(name)) {
      packed[name] = { ...tensor, dtype: 'F32' };
      continue;
    }
    const { trits, scales: [scale] } = groupsOf(tensor.values, tensor.values.length);
    const quarter = tensor.values.length / 4; // row r in bits 0 and 1, row r + R in bits 2 and 3, …
    const values = Array.from({ length: quarter }, (_, i) => [0, 1, 2, 3].reduce((byte, n) => byte | ((trits[n * quarter + i]! + 1) << (2 * n)), 0));
    packed[name] = { shape: [tensor.shape[0]! / 4, tensor.shape[1]!], values, dtype: 'U8' };
    packed[`${name}_scale`] = { shape: [1], values: [isFactor ? scale! : 1 / scale!], dtype: 'F32' };
  }
  return packed;
}

export interface GgufOptions extends BlockOptions {
  /** Default: as config.json has it; `bitnet` is `bitnet-b1.58`. With `llama`, the rows of q and k are permuted. */
  readonly architecture?: 'qwen3' | 'llama' | 'bitnet' | 'bitnet-25' | 'bitnet-b1.58';
  /** Of the ternary matrices: one for all, or for each by its name in GGUF. */
  readonly format: Format | ((name: string) => Format);
  /** For a matrix that does not fit the format; by default this is an error. */
  readonly otherwise?: Format;
  /** Of a float embedding and head (models other than Qwen3). Default: F16. */
  readonly tables?: 'F16' | 'F32' | 'BF16';
  /** Default: F32. */
  readonly norms?: 'F32' | 'F16';
  /** `general.file_type`; default: the one that belongs to the format. */
  readonly fileType?: number;
  /** More metadata, or other. */
  readonly metadata?: Readonly<Record<string, Entry>>;
  readonly alignment?: number;
  /** Spoils one matrix: a code (3), the scale of a block (NaN, Infinity, -1), the type's number (143, 36). */
  readonly spoil?: { readonly tensor: string; readonly block?: number; readonly code?: number; readonly d?: number; readonly typeNumber?: number };
  /** Any other change before it is written. */
  readonly edit?: (file: FileToWrite) => FileToWrite;
}

const FILE_TYPES: Record<Format, number> = {
  'F32': 0, 'F16': 1, 'BF16': 32, 'TQ1_0': 36, 'TQ2_0': 37, 'Q1_0': 40, 'I2_S': 40, 'I2_S ARM': 40, 'Q2_0': 41, 'Q2_0 old': 41, 'PQ2_0': 141, 'PTQ1_0': 143,
};

/** `model.gguf` of the model. */
export function ggufFiles(model: TernaryModel, options: GgufOptions): Files {
  return { 'model.gguf': ggufBytes(model, options) };
}

export function ggufBytes({ config, tensors }: TernaryModel, options: GgufOptions): Uint8Array {
  const { format, otherwise, tables = 'F16', norms = 'F32', spoil: fault, edit = (file) => file } = options;
  const own = config['model_type'] as string;
  const architecture = options.architecture ?? (own === 'bitnet' ? 'bitnet-b1.58' : (own as 'qwen3' | 'llama'));
  const heads = Number(config['num_attention_heads']);
  const kvHeads = Number(config['num_key_value_heads']);
  const formatOf = typeof format === 'function' ? format : () => format;
  const written: Record<string, TensorToWrite> = {};
  for (const [hf, tensor] of Object.entries(tensors)) {
    const name = ggufTensorName(hf);
    if (tensor.shape.length === 1) written[name] = encodeWeight(norms, tensor);
    else if (architecture !== 'qwen3' && !isProjection(hf)) written[name] = encodeWeight(tables, tensor);
    else {
      const rows = architecture !== 'llama' ? tensor : name.endsWith('attn_q.weight') ? permuted(tensor, heads) : name.endsWith('attn_k.weight') ? permuted(tensor, kvHeads) : tensor;
      const wanted = formatOf(name);
      const used = otherwise === undefined || fits(wanted, rows, options) ? wanted : otherwise;
      let block = encodeWeight(used, rows, options);
      if (fault?.tensor === name) {
        if (fault.code !== undefined || fault.d !== undefined) block = spoil(block, used, fault);
        if (fault.typeNumber !== undefined) block = { ...block, typeNumber: fault.typeNumber };
      }
      written[name] = block;
    }
  }
  if (fault && !written[fault.tensor]) throw new Error(`there is no ${fault.tensor}`);
  return gguf(edit({
    ...(options.alignment === undefined ? {} : { alignment: options.alignment }),
    metadata: { ...metadata(config, architecture, options.fileType ?? FILE_TYPES[formatOf('blk.0.attn_q.weight')]), ...options.metadata },
    tensors: Object.fromEntries(Object.entries(written).sort(([a], [b]) => inFileOrder(a, b))),
  }));
}

/**
 * A file whose tensors of type 42 take the same padded space as Q2_0 and as Prism's old Q2_0: 512 weights are 144 or 136 bytes, 160 with
 * padding. No offset and no length tells which it is.
 */
export function ambiguousFiles(format: 'Q2_0' | 'Q2_0 old'): Files {
  const model = randomQwen3({ ...SMALL_QWEN3, headDim: 4 });
  return ggufFiles(model, { format: (name) => (/attn_[kv]\.weight$/.test(name) ? format : 'F16'), fileType: 41 });
}

function metadata(config: TernaryModel['config'], architecture: string, fileType: number): Record<string, Entry> {
  const number = (key: string): number => Number(config[key]);
  const key = (name: string): string => `${architecture}.${name}`;
  const rope = { ...config, ...(config['rope_scaling'] as object | undefined), ...(config['rope_parameters'] as object | undefined) } as Record<string, unknown>;
  const headDim = Number(config['head_dim'] ?? number('hidden_size') / number('num_attention_heads'));
  return {
    'general.architecture': ['string', architecture], 'general.name': ['string', 'tiny'], 'general.file_type': ['u32', fileType],
    'general.quantization_version': ['u32', 2],
    [key('block_count')]: ['u32', number('num_hidden_layers')], [key('context_length')]: ['u32', number('max_position_embeddings')],
    [key('embedding_length')]: ['u32', number('hidden_size')], [key('feed_forward_length')]: ['u32', number('intermediate_size')],
    [key('attention.head_count')]: ['u32', number('num_attention_heads')], [key('attention.head_count_kv')]: ['u32', number('num_key_value_heads')],
    [key('attention.layer_norm_rms_epsilon')]: ['f32', number('rms_norm_eps')], [key('rope.freq_base')]: ['f32', Number(rope['rope_theta'])],
    ...(architecture === 'qwen3' ? {} : { [key('rope.dimension_count')]: ['u32', headDim], [key('vocab_size')]: ['u32', number('vocab_size')] }),
    ...(architecture === 'qwen3' || headDim * number('num_attention_heads') !== number('hidden_size')
      ? { [key('attention.key_length')]: ['u32', headDim], [key('attention.value_length')]: ['u32', headDim] } : {}),
    ...(rope['rope_type'] !== 'yarn' ? {} : {
      [key('rope.scaling.type')]: ['string', 'yarn'], [key('rope.scaling.factor')]: ['f32', Number(rope['factor'])],
      [key('rope.scaling.original_context_length')]: ['u32', Number(rope['original_max_position_embeddings'])],
    }),
  } as Record<string, Entry>;
}

/** A tensor's name in GGUF for its name in a Hugging Face checkpoint of a Transformer. */
export function ggufTensorName(name: string): string {
  const ends: Record<string, string> = { 'model.embed_tokens.weight': 'token_embd.weight', 'model.norm.weight': 'output_norm.weight', 'lm_head.weight': 'output.weight' };
  return ends[name] ?? name.replace('model.layers', 'blk').replace('input_layernorm', 'attn_norm').replace('post_attention_layernorm', 'ffn_norm')
    .replace(/self_attn\.([qkv])_proj/, 'attn_$1').replace('self_attn.o_proj', 'attn_output').replace(/self_attn\.([qk])_norm/, 'attn_$1_norm')
    .replace('self_attn.attn_sub_norm', 'attn_sub_norm').replace(/mlp\.(gate|up|down)_proj/, 'ffn_$1').replace('mlp.ffn_sub_norm', 'ffn_sub_norm');
}

/** As real files have it: output, output_norm, token_embd, then the blocks, in each by the alphabet. */
function inFileOrder(a: string, b: string): number {
  const block = (name: string): number => Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? -1);
  return block(a) - block(b) || (a < b ? -1 : 1);
}

/** Of each head's d rows, row j and row j + d/2 become rows 2j and 2j + 1. */
function permuted({ shape, values }: TernaryTensor, heads: number): TernaryTensor {
  const [rows = 0, columns = 0] = shape;
  const headDim = rows / heads;
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const j = row % headDim;
    const within = j < headDim / 2 ? 2 * j : 2 * (j - headDim / 2) + 1;
    result.set(values.subarray(row * columns, (row + 1) * columns), (row - j + within) * columns);
  }
  return { shape, values: result };
}

export interface Stored {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A safetensors file of tensors of any dtype. */
export function storedSafetensors(stored: readonly Stored[]): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let end = 0;
  for (const { name, dtype, shape, bytes } of stored) header[name] = { dtype, shape, data_offsets: [end, (end += bytes.length)] };
  return assemble(JSON.stringify(header), new Uint8Array(Buffer.concat(stored.map(({ bytes }) => bytes))));
}

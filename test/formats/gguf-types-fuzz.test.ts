import { expect, it } from 'vitest';
import { inspect, MatMulFreeLM } from 'matmulfree';
import { parameters } from '../../src/architectures/blueprint.js';
import { TINY_BITNET, TINY_LLAMA } from '../support/families.js';
import { fuzz, mutate, pick, type Random } from '../support/fuzz.js';
import type { Format } from '../support/group-blocks.js';
import { ggufBytes, type GgufOptions } from '../support/group-files.js';
import { gguf, type Entry, type FileToWrite, type TensorToWrite } from '../support/gguf-files.js';
import { openFiles } from '../support/open-gguf.js';
import { randomDecoder, randomQwen3, SMALL_QWEN3, type TernaryModel } from '../support/ternary-models.js';

/* Files with the types and architectures of others, spoilt. All weights are read; few are run. */

const NARROW = { hidden: 128, intermediate: 128, layers: 1, heads: 1, kvHeads: 1, headDim: 128 };
const groups = randomQwen3({ ...SMALL_QWEN3, ...NARROW, zeroGroups: 10 });
const wide = randomQwen3({ ...SMALL_QWEN3, heads: 1, hidden: 256, headDim: 256, intermediate: 256, group: 256 });
const binary = randomQwen3({ ...SMALL_QWEN3, ...NARROW, isBinary: true });
const bitnet = randomDecoder({ ...TINY_BITNET, ...NARROW });
const llama = randomDecoder({ ...TINY_LLAMA, ...NARROW });

const BASES: readonly (readonly [model: TernaryModel, options: GgufOptions])[] = [
  [groups, { format: 'Q2_0' }], [groups, { format: 'Q2_0 old' }], [groups, { format: 'PQ2_0' }], [binary, { format: 'Q1_0' }], [wide, { format: 'TQ1_0' }], [wide, { format: 'TQ2_0' }],
  [groups, { format: 'F16' }], [bitnet, { format: 'I2_S' }], [bitnet, { format: 'I2_S', architecture: 'bitnet-25' }], [bitnet, { format: 'Q2_0', architecture: 'bitnet' }],
  [llama, { format: 'I2_S' }], [llama, { format: 'PQ2_0' }],
];
/** What the files are written of. */
const PLANS: FileToWrite[] = [];
const FILES = BASES.map(([model, options]) => ggufBytes(model, { ...options, edit: (file) => { PLANS.push(file); return file; } }));

async function use(bytes: Uint8Array, n: number): Promise<void> {
  await inspect({ 'm.gguf': bytes });
  const checkpoint = await openFiles({ 'm.gguf': bytes }, n % 2 === 0 ? 'A' : 'B');
  for (const { tensor, held } of parameters(checkpoint.blueprint)) {
    const [rows = 0, columns = 0] = tensor.shape;
    if (held === 'table') await checkpoint.readTable(tensor);
    else if (held !== 'ternary') await checkpoint.readFloats(tensor);
    else if (!tensor.isGrouped) await checkpoint.readTernary(tensor, new Float32Array(rows), () => undefined);
    else {
      const group = await checkpoint.groupOf!(tensor);
      const scales = new Float32Array(Math.ceil(columns / group) * rows);
      await checkpoint.readGrouped!(tensor, group, scales, (_row, trits) => { if (trits.some((trit) => trit !== 0 && trit * trit !== 1)) throw new Error('not a trit'); });
      if (!scales.every((scale) => scale >= 0 && scale < Infinity)) throw new Error('not a scale');
    }
  }
  if (n % 50 !== 0) return;
  const lm = await MatMulFreeLM.load({ 'm.gguf': bytes }, { backend: 'scalar' });
  lm.forward([0, 1], lm.createState());
  lm.dispose();
}

it('the files that are spoilt below are good', async () => {
  for (const bytes of FILES) await use(bytes, 0);
  expect(FILES.length).toBe(BASES.length);
});

const FORMATS: readonly Format[] = ['Q2_0', 'Q2_0 old', 'PQ2_0', 'Q1_0', 'TQ1_0', 'TQ2_0', 'F16', 'I2_S'];
for (const format of FORMATS) {
  const own = FILES.filter((_, n) => BASES[n]![1].format === format);
  fuzz<Uint8Array>({
    kind: `spoilt files of ${format}`, inputs: 60, endings: 8, size: ({ length }) => length, use,
    make: (random) => mutate(pick(random, own), random, { head: 3000, other: pick(random, FILES) }),
  });
}

const TYPE_NUMBERS = [0, 1, 8, 30, 34, 35, 36, 37, 38, 39, 40, 41, 42, 42, 42, 142, 143, 99];
const ODD: readonly Entry[] = [['u32', 0], ['u32', 1], ['u32', 128], ['u32', 2 ** 32 - 1], ['f32', NaN], ['f32', -1], ['bool', true], ['string', ''], ['string', 'relu2'], ['string', 'linear'], ['string', 'yarn'], [['u32'], [1, 2]]];
const KEYS = [
  'block_count', 'context_length', 'embedding_length', 'feed_forward_length', 'attention.head_count', 'attention.head_count_kv', 'attention.key_length', 'attention.value_length',
  'rope.dimension_count', 'rope.freq_base', 'rope.scaling.type', 'rope.scaling.factor', 'vocab_size', 'hidden_activation', 'tie_word_embeddings', 'ternary_row_alignment', 'ternary_activations',
];
const FOREIGN = ['prism.hadamard.version', 'prism.other', 'oxibonsai.quant_format', 'general.quantization_version', 'general.alignment', 'split.count'];

/** Well-formed, with types, shapes, architectures, keys that do not belong together. */
function oddFile(random: Random): Uint8Array {
  const plan = pick(random, PLANS);
  const tensors: Record<string, TensorToWrite> = { ...plan.tensors };
  const metadata: Record<string, Entry> = { ...plan.metadata };
  for (let changes = random.integer(1, 3); changes > 0; changes--) {
    const name = pick(random, Object.keys(tensors));
    const { shape } = tensors[name]!;
    const rows = shape[0] ?? 1;
    switch (random.integer(0, 6)) {
      case 0: tensors[name] = { ...tensors[name]!, typeNumber: pick(random, TYPE_NUMBERS) }; break;
      case 1: tensors[name] = { ...tensors[name]!, shape: pick(random, [[...shape].reverse(), [rows], [...shape, 1].slice(0, 4), [rows, 64], [rows, 256], [0, 128], []]) }; break;
      case 2: tensors[pick(random, ['output.weight', 'rope_freqs.weight', 'blk.0.attn_q.scale', 'blk.0.ffn_down.scale', 'blk.0.attn_q.weight_scale'])] = tensors[name]!; break;
      case 3: delete tensors[name]; break;
      case 4: metadata[pick(random, FOREIGN)] = pick(random, ODD); break;
      case 5: metadata['general.architecture'] = ['string', pick(random, ['bitnet', 'bitnet-25', 'bitnet-b1.58', 'llama', 'qwen3', 'qwen35', 'hgrn_bit'])]; break;
      default: metadata[`${String(metadata['general.architecture']![1])}.${pick(random, KEYS)}`] = pick(random, ODD);
    }
  }
  return gguf({ ...plan, tensors, metadata });
}

fuzz<Uint8Array>({ kind: 'well-formed files of odd types and architectures', inputs: 150, endings: 15, size: ({ length }) => length, use, make: oddFile });

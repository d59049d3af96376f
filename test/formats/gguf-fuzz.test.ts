import { it } from 'vitest';
import { convert, inspect, MatMulFreeLM } from 'matmulfree';
import { randomTensors, TINY, type Files, type TinyConfig } from '../support/checkpoints.js';
import { fuzz, mutate, pick, type Random } from '../support/fuzz.js';
import { blocks, encode, gguf, modelMetadata, modelTensors, type Entry, type TensorToWrite } from '../support/gguf-files.js';

const LLAMA: Record<string, Entry> = {
  'tokenizer.ggml.model': ['string', 'llama'],
  'tokenizer.ggml.tokens': [['string'], ['<unk>', '<s>', '</s>', '▁', 'a', 'b', 'ab', '▁ab', '<0xC3>', '<0xA9>', 'x']],
  'tokenizer.ggml.token_type': [['i32'], [2, 3, 3, 1, 1, 1, 1, 1, 6, 6, 4]],
  'tokenizer.ggml.scores': [['f32'], [0, 0, 0, -9, -8, -7, -2, -1, 0, 0, 0]],
  'tokenizer.ggml.bos_token_id': ['u32', 1], 'tokenizer.ggml.eos_token_id': ['u32', 2], 'tokenizer.ggml.add_space_prefix': ['bool', true],
};
const GPT2: Record<string, Entry> = {
  'tokenizer.ggml.model': ['string', 'gpt2'], 'tokenizer.ggml.pre': ['string', 'llama-bpe'],
  'tokenizer.ggml.tokens': [['string'], ['a', 'b', 'Ġ', 'Ġa', 'ab', '<|end|>']], 'tokenizer.ggml.token_type': [['i32'], [1, 1, 1, 1, 1, 3]],
  'tokenizer.ggml.merges': [['string'], ['Ġ a', 'a b']], 'tokenizer.ggml.bos_token_id': ['u32', 5],
};
const JSON_INSIDE: Record<string, Entry> = {
  'tokenizer.huggingface.json': ['string', JSON.stringify({ model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'] }, added_tokens: [] })],
  'matmulfree.generation_config.json': ['string', '{"eos_token_id":[1,2]}'], 'hgrn_bit.ternary_row_alignment': ['u32', 256],
};

/** Small, so that most of a file is header. */
const SMALL: TinyConfig = { hidden: 3, intermediate: 2, layers: 1, vocab: 11, lowerBounds: true };
const FLOATS: TinyConfig = { hidden: 32, intermediate: 32, layers: 1, vocab: 11, lowerBounds: false };
const entry = (key: string, value: Entry): Record<string, Entry> => ({ [key]: value });
const asFloats = (type: 'Q8_0' | 'F16') => (name: string, { shape, values }: { shape: readonly number[]; values: ArrayLike<number> }): Record<string, TensorToWrite> =>
  ({ [name]: { type, shape, bytes: encode(type, values) } });

const tensors = modelTensors(randomTensors(SMALL, 3));
const halves = [Object.entries(tensors).slice(0, 9), Object.entries(tensors).slice(9)].map((part) => Object.fromEntries(part));
const parts = (n: number): Record<string, Entry> =>
  ({ ...entry('split.no', ['u16', n]), ...entry('split.count', ['u16', 2]), ...entry('split.tensors.count', ['i32', Object.keys(tensors).length]) });

const BASES: Files[] = [
  { 'llama.gguf': gguf({ metadata: { ...modelMetadata(SMALL), ...LLAMA }, tensors }) },
  { 'gpt2.gguf': gguf({ version: 2, alignment: 8, metadata: { ...modelMetadata(SMALL), ...GPT2 }, tensors: modelTensors(randomTensors(SMALL, 3), 'F16', (name, tensor) => blocks('TQ1_0', name, tensor)) }) },
  { 'json.gguf': gguf({ metadata: { ...modelMetadata(TINY), ...JSON_INSIDE }, tensors: modelTensors(randomTensors(TINY, 3), 'BF16') }) },
  { 'q8.gguf': gguf({ metadata: modelMetadata(FLOATS), tensors: modelTensors(randomTensors(FLOATS, 3), 'Q8_0', asFloats('Q8_0')) }) },
  { 'f16.gguf': gguf({ metadata: modelMetadata(FLOATS), tensors: modelTensors(randomTensors(FLOATS, 3), 'F32', asFloats('F16')) }) },
  {
    'two-00001-of-00002.gguf': gguf({ metadata: { ...modelMetadata(SMALL), ...LLAMA, ...parts(0) }, tensors: halves[0]! }),
    'two-00002-of-00002.gguf': gguf({ metadata: parts(1), tensors: halves[1]! }),
  },
];

async function use(files: Files): Promise<void> {
  await inspect(files);
  const lm = await MatMulFreeLM.load(files, { backend: 'scalar' });
  lm.forward([0, 1], lm.createState());
  if (lm.hasTokenizer) lm.tokenizer.decode(lm.tokenizer.encode('ab é<s>x  a b'));
}

it('the files that are spoilt below are good', async () => {
  for (const files of BASES) await use(files);
});

/** Values that fit no key, or the wrong one. */
const ODD: Entry[] = [
  ['u32', 0], ['u32', 1], ['u32', 2 ** 32 - 1], ['i32', -1], ['f32', NaN], ['f32', 0.5], ['f64', 1e300], ['u64', 2 ** 53 - 1], ['bool', true], ['bool', false],
  ['string', ''], ['string', '__proto__'], ['string', 'gpt2'], ['string', 'llama'], ['string', 'default'], ['string', '{}'], ['string', '[['],
  [['string'], []], [['string'], ['', '', 'a']], [['string'], ['__proto__', 'constructor', 'a b', ' ', 'b a']], [['string'], ['a', 'aa', 'aaa', 'aaaa', 'b', 'ab', 'ba', 'aab', 'x', 'y', 'z']],
  [['i32'], [1, 2, 3, 4, 5, 6, -1, 99, 1, 1, 1]], [['i32'], []], [['f32'], [Infinity, -Infinity, NaN, 0, 1, 2, 3, 4, 5, 6, 7]], [['f32'], [Infinity, -Infinity, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
];
const METADATA = [LLAMA, GPT2, JSON_INSIDE, { ...LLAMA, ...parts(0) }];
const KEYS = [...new Set(METADATA.flatMap((keys) => Object.keys({ ...modelMetadata(SMALL), ...keys }))), 'tokenizer.ggml.unknown_token_id', 'tokenizer.ggml.add_eos_token', 'general.alignment'];

/** A file that is well-formed, with values, types and shapes that do not belong together. */
function oddFile(random: Random): Uint8Array {
  const metadata: Record<string, Entry> = { ...modelMetadata(SMALL), ...pick(random, METADATA) };
  const own: Record<string, TensorToWrite> = { ...tensors };
  for (let changes = random.integer(1, 3); changes > 0; changes--) {
    const key = pick(random, KEYS);
    const name = pick(random, Object.keys(own));
    const { shape } = own[name]!;
    const type = pick(random, ['F32', 'F16', 'BF16', 'TQ1_0', 'TQ2_0', 'Q8_0'] as const);
    const other = pick(random, [shape, [...shape].reverse(), [1], [shape[0] ?? 1, 256], [], [0], [shape[0] ?? 1, 0]]);
    const rows = other.slice(0, -1).reduce((product, size) => product * size, 1);
    const columns = other.at(-1) ?? 1;
    const rowBytes = { F32: columns * 4, F16: columns * 2, BF16: columns * 2, Q8_0: (columns / 32) * 34, TQ1_0: (columns / 256) * 54, TQ2_0: (columns / 256) * 66 }[type];
    switch (random.integer(0, 5)) {
      case 0: delete metadata[key]; break;
      case 1: delete own[name]; break;
      case 2: own[name] = { type, shape: other, bytes: Uint8Array.from({ length: Math.ceil(rows * rowBytes) }, () => random.integer(0, 255) & pick(random, [0, 0x3f, 0xff])) }; break;
      default: metadata[key] = pick(random, ODD);
    }
  }
  return gguf({ metadata, tensors: own });
}

const sizeOf = (files: Files): number => Object.values(files).reduce((sum, { length }) => sum + length, 0);

fuzz<Files>({
  kind: 'GGUF files that are well-formed and of odd content', inputs: 1200, endings: 40, size: sizeOf, use,
  make: (random) => ({ 'odd.gguf': oddFile(random) }),
});

fuzz<Files>({
  kind: 'spoilt GGUF files', inputs: 1500, endings: 40, size: sizeOf,
  make(random) {
    const base = pick(random, BASES);
    const name = pick(random, Object.keys(base));
    return { ...base, [name]: mutate(base[name]!, random, { head: 3000 }) };
  },
  async use(files, n) {
    await use(files);
    if (n % 50 === 0) for await (const _ of convert(files)) { /* read to the end */ }
  },
});

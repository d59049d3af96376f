import { it } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { configJson, json, TINY, tinyCheckpoint, type Files } from '../support/checkpoints.js';
import { expectNoPollution, fuzz, mutate, mutateJson, pick } from '../support/fuzz.js';

const WEIGHTS = tinyCheckpoint(TINY)['model.safetensors']!;
const TOKENIZER = json({
  added_tokens: [{ id: 0, content: '<s>', special: true }, { id: 1, content: '</s>', special: true }],
  model: { type: 'BPE', vocab: Object.fromEntries([...'abcdefghi'].map((char, i) => [char, i + 2])), merges: [] },
});

const JSON_FILES: Record<string, Record<string, unknown>> = {
  'config.json': configJson(TINY, {
    architectures: ['HGRNBitForCausalLM'], bos_token_id: 1, eos_token_id: 2, hidden_act: 'swish', hidden_ratio: 4, initializer_range: 0.02, max_position_embeddings: 2048,
    rms_norm_eps: 1e-6, tie_word_embeddings: false, use_cache: true, use_short_conv: false, torch_dtype: 'float32', share_conv_kernel: true,
  }),
  'generation_config.json': { _from_model_config: true, bos_token_id: 1, eos_token_id: [2, 3], pad_token_id: null, transformers_version: '4.44.0' },
  'tokenizer_config.json': {
    add_bos_token: true, add_eos_token: false, bos_token: { content: '<s>', lstrip: false, __type: 'AddedToken' }, eos_token: '</s>', model_max_length: 1e30, clean_up_tokenization_spaces: false,
    added_tokens_decoder: { 0: { content: '<s>', special: true } },
  },
};
const WHOLE: Files = { 'model.safetensors': WEIGHTS, 'tokenizer.json': TOKENIZER, ...Object.fromEntries(Object.entries(JSON_FILES).map(([name, value]) => [name, json(value)])) };
const SIZE = Object.values(WHOLE).reduce((sum, { length }) => sum + length, 0);
/** Sizes that would ask for much memory. */
const SIZES = [1, 12, 24, 256, 65_536, 65_537, 2 ** 24, 2 ** 31, 1e-9, 0.5, 1e9];

fuzz<Files>({
  kind: 'config.json, generation_config.json and tokenizer_config.json files', inputs: 2500, endings: 25,
  size: (files) => SIZE + Object.keys(JSON_FILES).reduce((sum, name) => sum + files[name]!.length, 0),
  make(random) {
    const name = pick(random, ['config.json', 'config.json', 'generation_config.json', 'tokenizer_config.json']);
    const value = structuredClone(JSON_FILES[name]!);
    if (random.unit() < 0.2) return { ...WHOLE, [name]: mutate(json(value), random) };
    if (name !== 'config.json' || random.unit() < 0.5) return { ...WHOLE, [name]: mutateJson(value, random) };
    const key = pick(random, ['hidden_size', 'intermediate_size', 'num_hidden_layers', 'vocab_size', 'expand_ratio', 'hidden_ratio', 'rms_norm_eps', 'max_position_embeddings']);
    return { ...WHOLE, [name]: json({ ...value, [key]: pick(random, SIZES) }) };
  },
  async use(files, n) {
    const lm = await MatMulFreeLM.load(files, { backend: 'scalar' });
    lm.forward([1, 2], lm.createState());
    if (n % 20 === 0) for await (const _ of lm.generate('abc', { maxNewTokens: 2 })) { /* until it stops */ }
  },
});

it('keys of the prototype did nothing', expectNoPollution);

import { configJson, json, randomTensors, safetensors, type Files } from '../support/checkpoints.js';
import { QWEN_LIKE } from '../support/chat.js';
import { randomFrom } from '../support/random.js';

const CONTROL = ['<|im_start|>', '<|im_end|>'] as const;
const HIDDEN = 128;
/** So sure it is of what follows. */
const SURE = 8;

/**
 * A model that says what it is told to, so that a page can be shown any text of a model: one of `answers`, each as probable as the others, whatever is said.
 * Its layers add next to nothing to what they are given, so that each token is followed by the one whose row of the head is its embedding.
 * @param isEndless whether an answer begins anew where it would end.
 */
export function scriptedModel(answers: readonly string[], isEndless = false): Files {
  const vocab = [...CONTROL, ...Array.from({ length: 95 }, (_, n) => String.fromCharCode(32 + n)), '\n'];
  const known = new Set(vocab);
  const add = (piece: string): number => {
    known.add(piece);
    return vocab.push(piece) - 1;
  };
  const end = vocab.indexOf('<|im_end|>');
  const start = vocab.indexOf('\n'); // what a prompt of the template ends with
  const follows: [before: number, after: number][] = [];
  for (const answer of answers) {
    let before = start;
    let piece = '';
    for (const part of answer.match(/<\/?think>|\s*[^\s<]+|\s+|</g) ?? []) {
      piece += part;
      if (known.has(piece)) continue; // each is there once, so that it is followed by one
      follows.push([before, add(piece)]);
      before = vocab.length - 1;
      piece = '';
    }
    follows.push([before, isEndless ? follows.find(([from]) => from === start)![1] : end]);
  }
  const shape = { hidden: HIDDEN, intermediate: 32, layers: 2, vocab: vocab.length, lowerBounds: false };
  const tensors = randomTensors(shape, 1);
  const random = randomFrom(1);
  const embeddings = Float32Array.from({ length: vocab.length * HIDDEN }, () => (random.normal() < 0 ? -1 : 1));
  const head = new Float32Array(vocab.length * HIDDEN);
  for (const [before, after] of follows) {
    for (let n = 0; n < HIDDEN; n++) head[after * HIDDEN + n]! += SURE * embeddings[before * HIDDEN + n]!;
  }
  const put = (name: string, values: Float32Array): void => { tensors[name] = { ...tensors[name]!, values }; };
  for (const name of Object.keys(tensors)) if (/\.(o_proj|down_proj)\.weight$/.test(name)) put(name, Float32Array.from(tensors[name]!.values, (value) => value * 1e-4));
  for (const name of ['model.norm.weight', 'lm_head.norm.weight']) put(name, new Float32Array(HIDDEN).fill(1));
  put('model.embeddings.weight', embeddings);
  put('lm_head.weight', head);
  return {
    'config.json': json(configJson(shape, { bos_token_id: null, eos_token_id: end })),
    'model.safetensors': safetensors(tensors),
    'tokenizer.json': json({
      added_tokens: CONTROL.map((content, id) => ({ id, content, special: true, normalized: false })),
      normalizer: null, pre_tokenizer: null, post_processor: null, decoder: { type: 'Fuse' },
      model: { type: 'BPE', vocab: Object.fromEntries(vocab.map((piece, id) => [piece, id])), merges: [], unk_token: ' ' },
    }),
    'chat_template.jinja': json(QWEN_LIKE),
  };
}

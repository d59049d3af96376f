/*
 * What generation ought to give, the slow way: one text, its ids in a list, read from its beginning each time by `lm.forward`, tokens chosen
 * one after another by a plain loop around the sampler.
 */
import { Sampler, type Constraint, type ConstraintState, type FinishReason, type GenerateOptions, type MatMulFreeLM, type SamplingOptions } from 'matmulfree';
import { configJson, json, randomTensors, safetensors, type Files } from './checkpoints.js';
import { qwen35Folder, randomQwen35, TINY_QWEN35, TINY_ROTATED } from './qwen35.js';
import { TINY_BITNET, TINY_HYBRID, tinyDecoder, tinyHybrid } from './families.js';

/** Every token of this tokenizer is of one kind: special, a space, letters, merged letters, bytes of '€'. */
const TOKENS = ['<s>', '</s>', '▁', 'a', 'b', 'c', 'ab', 'bc', '<0xE2>', '<0x82>', '<0xAC>', '▁a'];
/** The model has more ids than the tokenizer has tokens. */
export const VOCAB = TOKENS.length + 2;
export const EOS = 1;

const IDS = { bos_token_id: 0, eos_token_id: EOS };

/** Families of models, each by a small random one. */
const FAMILIES = {
  recurrent(seed: number) {
    const config = { hidden: 16, intermediate: 24, layers: 2, vocab: VOCAB, lowerBounds: seed % 2 === 0 };
    return { 'config.json': json(configJson(config, IDS)), 'model.safetensors': safetensors(randomTensors(config, seed)) };
  },
  attention: (seed: number, positions = 65_536) => tinyDecoder({ ...TINY_BITNET, vocab: VOCAB, positions }, seed, IDS),
  hybrid: (seed: number) => tinyHybrid([{ layers: [1], num_heads: 4, num_kv_heads: 2 }], { ...TINY_HYBRID, vocab: VOCAB }, seed, IDS),
  'delta nets': (seed: number) => qwen35Folder(randomQwen35({ ...(seed % 2 === 0 ? TINY_QWEN35 : TINY_ROTATED), vocab: VOCAB }, seed, IDS)),
  'hybrid with windows': (seed: number) =>
    tinyHybrid([{ layers: [0], num_heads: 2, window_size: 70 }, { layers: [2], num_heads: 4, num_kv_heads: 1, window_size: 20 + (seed % 7) * 22 }], { ...TINY_HYBRID, vocab: VOCAB }, seed, IDS),
};
export type Family = keyof typeof FAMILIES;
export const FAMILY_NAMES = Object.keys(FAMILIES) as Family[];
export const ATTENTION_NAMES = FAMILY_NAMES.filter((name) => name !== 'recurrent');

/**
 * A small random model with a tokenizer as Llama's: a space in front of a text, which decoding drops; characters of several tokens.
 * @param positions of the longest text, of the family 'attention'.
 */
export function tinyModelWithText(seed: number, family: Family = 'recurrent', positions?: number): Files {
  return {
    ...FAMILIES[family](seed, positions),
    'tokenizer.json': json({
      added_tokens: [{ id: 0, content: '<s>', special: true }, { id: EOS, content: '</s>', special: true }],
      normalizer: { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: '▁' }, { type: 'Replace', pattern: { String: ' ' }, content: '▁' }] },
      post_processor: {
        type: 'TemplateProcessing', single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }], pair: [],
        special_tokens: { '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] } },
      },
      decoder: { type: 'Sequence', decoders: [{ type: 'Replace', pattern: { String: '▁' }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 0 }] },
      model: { type: 'BPE', byte_fallback: true, vocab: Object.fromEntries(TOKENS.map((token, id) => [token, id])), merges: ['a b', 'b c', '▁ a'] },
    }),
  };
}

/** What is tried: all options but those that must not change anything (guesses, caches), those of time, and the signal. */
export type NaiveOptions = SamplingOptions & Pick<GenerateOptions, 'maxNewTokens' | 'eosTokenIds' | 'stop'> & { readonly constraint?: Constraint; readonly seed: number };

export interface Expected {
  /** The ids that are given out. */
  readonly ids: readonly number[];
  /** All of the text, up to a stop string. */
  readonly text: string;
  readonly finishReason: FinishReason;
  readonly stopString?: string;
  /** [ids.length] */
  readonly logprobs: readonly number[];
}

/**
 * @param context ids before. @param remembered the last of them, which options look at. @param hasText whether stop strings are looked for.
 */
export function naiveGeneration(lm: MatMulFreeLM, context: readonly number[], remembered: readonly number[], options: NaiveOptions, hasText: boolean): Expected {
  const { maxNewTokens = 256, eosTokenIds = lm.config.eosTokenIds, stop = [], constraint, ...sampling } = options;
  const stops = hasText ? [stop].flat() : [];
  const sampler = new Sampler(VOCAB, sampling);
  sampler.readPrompt(remembered);
  const isToken = (id: number): boolean => lm.tokenizer.idToToken(id) !== undefined;
  const decoder = lm.tokenizer.createDecodeStream({ prompt: remembered.filter(isToken) });
  const state = lm.createState();
  let logits = lm.forward(context, state);
  let allowed: ConstraintState | undefined = constraint?.start(remembered);
  let text = '';
  const [ids, logprobs]: number[][] = [[], []];
  const done = (finishReason: FinishReason): Expected => {
    state.dispose();
    const found = firstOf(text, stops) ?? firstOf((text += ids!.length > 0 ? decoder.flush() : ''), stops);
    const known = { ids: ids!, logprobs: logprobs! };
    return found ? { ...known, text: text.slice(0, found.at), finishReason: 'stop', stopString: found.stop } : { ...known, text, finishReason };
  };
  if (allowed?.complete && eosTokenIds.length === 0 && allowed.mask.every((bits) => bits === 0)) return done('complete');
  while (ids!.length < maxNewTokens) {
    const id = sampler.sample(logits, allowed?.mask, allowed && (allowed.complete ? eosTokenIds : []));
    if (eosTokenIds.includes(id)) return done('eos');
    const sum = logits.reduce((total, value) => total + Math.exp(value), 0);
    logprobs!.push(logits[id]! - Math.log(sum));
    ids!.push(id);
    sampler.accept(id);
    if (isToken(id)) text += decoder.push(id);
    if (firstOf(text, stops)) return done('stop');
    allowed = allowed?.next(id);
    if (allowed?.complete && (eosTokenIds.length === 0 || allowed.mask.every((bits) => bits === 0))) return done('complete');
    logits = lm.forward(id, state);
  }
  return done(allowed?.complete && maxNewTokens > 0 ? 'complete' : 'length');
}

function firstOf(text: string, stops: readonly string[]): { at: number; stop: string } | undefined {
  return stops.map((stop) => ({ at: text.indexOf(stop), stop })).filter(({ at }) => at >= 0).sort((a, b) => a.at - b.at)[0];
}

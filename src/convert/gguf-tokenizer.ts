import { isJsonObject, MAX_TOKENIZER_VALUES, parseJsonObject, type JsonObject } from '../formats/bytes.js';
import type { GgufValue } from '../formats/gguf.js';
import type { ModelConfig } from '../architectures/config.js';
import { KEYS } from '../checkpoint/gguf-metadata.js';
import { NORMALIZER_KEY, TOKEN_TYPES } from '../checkpoint/gguf-tokenizer.js';
import { GGML_PRES, ggmlPre, GPT2_PATTERN, type GgmlPre } from '../tokenizer/ggml-pre.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';

/**
 * The `tokenizer.ggml.*` metadata that other GGUF readers look for. This library itself reads the whole tokenizer.json, which
 * goes along beside it.
 * @param tokenizer made from `tokenizerJson`.
 */
export function ggmlTokenizer(
  tokenizerJson: string, tokenizer: Tokenizer, { vocabSize, bosTokenId, eosTokenIds }: ModelConfig,
): Map<string, GgufValue> {
  const json = parseJsonObject('tokenizer.json', tokenizerJson, MAX_TOKENIZER_VALUES);
  const model = object(json['model']);
  const tokens: string[] = Array.from({ length: vocabSize }, (_, id) => `[unused${id}]`);
  const types: number[] = new Array<number>(vocabSize).fill(TOKEN_TYPES.unused);
  const byteFallback = model['byte_fallback'] === true;
  for (const [token, id] of Object.entries(object(model['vocab']))) {
    if (typeof id !== 'number' || id >= vocabSize) continue;
    tokens[id] = token;
    types[id] = token === model['unk_token'] ? TOKEN_TYPES.unknown
      : byteFallback && /^<0x[0-9A-F]{2}>$/.test(token) ? TOKEN_TYPES.byte : TOKEN_TYPES.normal;
  }
  for (const added of list(json['added_tokens']).map(object)) {
    const { id, content, special } = added;
    if (typeof id !== 'number' || typeof content !== 'string' || id >= vocabSize) continue;
    tokens[id] = content;
    if (types[id] !== TOKEN_TYPES.unknown) types[id] = special === true ? TOKEN_TYPES.control : TOKEN_TYPES.userDefined;
  }
  const merges = list(model['merges']).filter((merge) => typeof merge !== 'string' || !merge.startsWith('#version')) // a line of merges.txt
    .map((merge) => (Array.isArray(merge) ? merge.join(' ') : String(merge)));
  const result = new Map<string, GgufValue>();
  const flag = (key: string, value: boolean): unknown => result.set(key, { type: 'bool', value });
  const normalizer = byteFallback ? undefined : normalizerName(json['normalizer'] ?? undefined);
  const pre = byteFallback ? 'default' : preOf(object(json['pre_tokenizer']), model['ignore_merges'] === true, normalizer)?.names[0];
  result.set(KEYS.tokenizerModel, { type: 'string', value: byteFallback ? 'llama' : 'gpt2' });
  if (pre !== undefined) result.set(KEYS.pre, { type: 'string', value: pre });
  result.set(KEYS.tokens, { type: 'array', of: 'string', value: tokens });
  result.set(KEYS.tokenTypes, { type: 'array', of: 'i32', value: types });
  if (byteFallback) {
    result.set(KEYS.scores, { type: 'array', of: 'f32', value: scores(tokens, merges) });
    const [first = -1] = tokenizer.encode('a', { addSpecialTokens: false });
    flag(KEYS.addSpacePrefix, tokenizer.idToToken(first)?.startsWith('\u2581') === true);
  } else {
    result.set(KEYS.merges, { type: 'array', of: 'string', value: merges });
    if (normalizer !== undefined && normalizer !== (ggmlPre(pre)?.normalizer ?? 'none')) result.set(NORMALIZER_KEY, { type: 'string', value: normalizer });
  }
  const unknown = types.indexOf(TOKEN_TYPES.unknown);
  if (unknown >= 0) result.set(KEYS.unknownTokenId, { type: 'u32', value: unknown });
  // What the tokenizer does, whatever its configuration says. BOS and EOS may be one token: what counts is where it stands.
  const bare = tokenizer.encode('a', { addSpecialTokens: false });
  const around = tokenizer.encode('a');
  const added = around.length - bare.length;
  const hasBos = added > 0 && around[0] === (bosTokenId ?? around[0]) && bare.every((id, n) => around[1 + n] === id);
  flag(KEYS.addBos, hasBos);
  flag(KEYS.addEos, added > (hasBos ? 1 : 0) && around.at(-1) === eosTokenIds[0]);
  if (hasBos && bosTokenId === undefined) result.set(KEYS.bosTokenId, { type: 'u32', value: around[0]! });
  return result;
}

/** How llama.cpp names the way in which a byte-level tokenizer cuts words; undefined for one that it has no name for. */
function preOf(pre: JsonObject, ignoreMerges: boolean, normalizer: string | undefined): GgmlPre | undefined {
  const patterns: string[] = [];
  for (const step of pre['type'] === 'Sequence' ? list(pre['pretokenizers']).map(object) : [pre]) {
    const { type, pattern, behavior, invert } = step;
    if (type === 'Split' && behavior === 'Isolated' && invert !== true) patterns.push(String(object(pattern)['Regex']));
    else if (type === 'Digits' && step['individual_digits'] === true) patterns.push('\\p{N}');
    else if (type !== 'ByteLevel') return undefined;
    else if (step['use_regex'] !== false) patterns.push(GPT2_PATTERN);
  }
  const unlike = (known: GgmlPre): number =>
    ((known.ignoreMerges ?? false) === ignoreMerges ? 0 : 2) + ((known.normalizer ?? 'none') === normalizer ? 0 : 1);
  const same = GGML_PRES.filter((known) => known.patterns.join('\n') === patterns.join('\n'));
  return same.sort((a, b) => unlike(a) - unlike(b))[0];
}

/** `NFC` or `none`; undefined for a normalizer that GGUF metadata cannot tell of. */
function normalizerName(normalizer: unknown): 'NFC' | 'none' | undefined {
  const { type, normalizers } = object(normalizer);
  if (normalizer === undefined || type === 'NFC') return type === 'NFC' ? 'NFC' : 'none';
  const names = new Set(type === 'Sequence' ? list(normalizers).map(normalizerName) : [undefined]);
  return names.has(undefined) ? undefined : names.has('NFC') ? 'NFC' : 'none';
}

/** Readers of the "llama" kind join the pair whose result has the highest score: the earlier the merge, the higher. */
function scores(tokens: readonly string[], merges: readonly string[]): number[] {
  const rank = new Map<string, number>();
  merges.forEach((merge, n) => {
    const token = merge.replace(' ', '');
    if (!rank.has(token)) rank.set(token, n);
  });
  return tokens.map((token) => -(rank.get(token) ?? merges.length) - 1);
}

function object(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

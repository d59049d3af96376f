import { isJsonObject, parseJsonObject, type JsonObject } from '../formats/bytes.js';
import type { GgufValue } from '../formats/gguf.js';

/** Token types of `tokenizer.ggml.token_type` (ggml/docs/gguf.md). */
const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const BYTE = 6;

/**
 * The `tokenizer.ggml.*` metadata that other GGUF readers look for, made from a tokenizer.json that `Tokenizer.fromJSON` has
 * accepted. This library itself reads the whole tokenizer.json, which goes along beside it.
 * @param vocabSize length of the lists; ids without a token are filled with a placeholder.
 */
export function ggmlTokenizer(
  tokenizerJson: string, tokenizerConfig: string | undefined, vocabSize: number,
): Map<string, GgufValue> {
  const json = parseJsonObject('tokenizer.json', tokenizerJson);
  const model = object(json['model']);
  const tokens: string[] = Array.from({ length: vocabSize }, (_, id) => `[unused${id}]`);
  const types: number[] = new Array<number>(vocabSize).fill(NORMAL);
  const byteFallback = model['byte_fallback'] === true;
  for (const [token, id] of Object.entries(object(model['vocab']))) {
    if (typeof id !== 'number' || id >= vocabSize) continue;
    tokens[id] = token;
    if (token === model['unk_token']) types[id] = UNKNOWN;
    else if (byteFallback && /^<0x[0-9A-F]{2}>$/.test(token)) types[id] = BYTE;
  }
  for (const added of list(json['added_tokens']).map(object)) {
    const { id, content, special } = added;
    if (typeof id !== 'number' || typeof content !== 'string' || id >= vocabSize) continue;
    tokens[id] = content;
    if (types[id] !== UNKNOWN) types[id] = special === true ? CONTROL : USER_DEFINED;
  }
  const merges = list(model['merges']).map((merge) => (Array.isArray(merge) ? merge.join(' ') : String(merge)));
  const result = new Map<string, GgufValue>([
    ['tokenizer.ggml.model', { type: 'string', value: byteFallback ? 'llama' : 'gpt2' }],
    ['tokenizer.ggml.tokens', { type: 'array', of: 'string', value: tokens }],
    ['tokenizer.ggml.token_type', { type: 'array', of: 'i32', value: types }],
  ]);
  if (byteFallback) {
    result.set('tokenizer.ggml.scores', { type: 'array', of: 'f32', value: scores(tokens, merges) });
  } else {
    result.set('tokenizer.ggml.merges', { type: 'array', of: 'string', value: merges });
  }
  const unknown = types.indexOf(UNKNOWN);
  if (unknown >= 0) result.set('tokenizer.ggml.unknown_token_id', { type: 'u32', value: unknown });
  const addBos = parseJsonObject('tokenizer_config.json', tokenizerConfig ?? '{}')['add_bos_token'];
  if (typeof addBos === 'boolean') result.set('tokenizer.ggml.add_bos_token', { type: 'bool', value: addBos });
  return result;
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

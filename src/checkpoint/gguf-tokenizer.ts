import { show, TokenizerError } from '../errors.js';
import type { JsonObject } from '../formats/bytes.js';
import type { GgufMetadata, GgufScalar } from '../formats/gguf.js';
import { GGML_PRES, ggmlPre, LLAMA3_PRE, preTokenizerJson, type GgmlPre } from '../tokenizer/ggml-pre.js';
import { scoredMerges } from '../tokenizer/scored-merges.js';
import { TokenTable } from '../tokenizer/token-table.js';
import type { CheckpointTexts } from './checkpoint.js';
import { KEYS } from './gguf-metadata.js';

/** Values of `tokenizer.ggml.token_type` (ggml/docs/gguf.md). */
export const TOKEN_TYPES = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/**
 * `NFC` or `none`, where a byte-level tokenizer does otherwise than what `tokenizer.ggml.pre` stands for: GGUF has no key for it, and
 * llama.cpp normalizes nothing.
 */
export const NORMALIZER_KEY = 'matmulfree.tokenizer.normalizer';

/** Llama 3's vocabulary, which BitNet b1.58 2B4T has; its official file names no `tokenizer.ggml.pre` (microsoft/BitNet 508). */
const LLAMA3_TOKENS = 128_256;

/** Tokens that are found in the text as they stand. Real vocabularies have up to some thousand. */
const MAX_ADDED_TOKENS = 65_536;
/** Characters of all tokens and merges together: a vocabulary of 256,000 has under 5 million. */
const MAX_CHARACTERS = 2 ** 25;

/** What the `tokenizer.ggml.*` keys say. */
interface GgmlTokenizer {
  readonly tokens: readonly string[];
  readonly types: readonly number[];
  readonly fail: (key: string, complaint: string) => never;
  readonly list: <T extends GgufScalar>(key: string, type: 'string' | 'number') => readonly T[] | undefined;
  readonly flag: (key: string) => boolean | undefined;
  readonly id: (key: string) => number | undefined;
}

type Merge = string | readonly [left: string, right: string];

interface Bpe extends JsonObject {
  /** Made an object in the file. */
  readonly vocab: TokenTable;
  readonly merges: readonly Merge[];
}

/** What stands in a tokenizer.json, but for the vocabulary. */
type TokenizerJson = { readonly model: Bpe } & JsonObject;

/** For `CheckpointTexts`. */
interface TokenizerTexts {
  /** Made when it is first asked for: with a large vocabulary that takes longer than all else. */
  readonly tokenizer: string;
  readonly tokenizerJson: TokenizerJson;
  readonly tokenizerName: string;
  readonly tokenizerConfig: string;
}

/**
 * A tokenizer.json and tokenizer_config.json made from the `tokenizer.ggml.*` metadata, for a file that does not bring its own:
 * of the kind "llama" (SentencePiece's BPE, merging by score) or "gpt2" (byte-level BPE).
 * @returns undefined when the file has no tokenizer.
 * @throws TokenizerError naming file and key.
 */
export function tokenizerFromGguf(
  file: string, metadata: GgufMetadata, vocabSize: number,
): TokenizerTexts | undefined {
  const kind = metadata.get(KEYS.tokenizerModel)?.value;
  if (kind === undefined || kind === 'none' || kind === 'no_vocab') return undefined;
  const ggml = readKeys(file, metadata, vocabSize);
  const { id, flag, tokens } = ggml;
  if (kind !== 'llama' && kind !== 'gpt2') {
    ggml.fail(KEYS.tokenizerModel, `is ${show(kind)}; this library reads "llama" and "gpt2", or a whole tokenizer.json in ${KEYS.tokenizerJson}`);
  }
  const pre = kind === 'gpt2' ? readPre(metadata, ggml) : undefined;
  const bos = id(KEYS.bosTokenId) ?? (kind === 'llama' && ggml.types[1] === TOKEN_TYPES.control ? 1 : undefined);
  const eos = id(KEYS.eosTokenId);
  const addBos = flag(KEYS.addBos) ?? (kind === 'llama' || pre?.addBos === true);
  const addEos = flag(KEYS.addEos) ?? false;
  const json = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens(ggml),
    ...(pre ? byteLevel(ggml, pre) : sentencePiece(ggml)),
    post_processor: template(tokens, addBos ? bos : undefined, addEos ? eos : undefined),
  };
  const named = (tokenId: number | undefined): string | null => (tokenId === undefined ? null : tokens[tokenId]!);
  const config = { add_bos_token: addBos, add_eos_token: addEos, bos_token: named(bos), eos_token: named(eos) };
  let text: string | undefined;
  return {
    get tokenizer() {
      return (text ??= textOf(json));
    },
    tokenizerJson: json,
    tokenizerName: `${file}: tokenizer.ggml.*, as a tokenizer.json`,
    tokenizerConfig: JSON.stringify(config),
  };
}

function textOf(json: TokenizerJson): string {
  const { model } = json;
  const merges = model.merges.map((merge) => (typeof merge === 'string' ? merge.split(' ') : merge));
  return JSON.stringify({ ...json, model: { ...model, vocab: Object.fromEntries(entries(model.vocab)), merges } });
}

/** The texts of a file without a tokenizer.json of its own. A configuration that it brings along comes before the one that is made. */
export function textsFromGguf(
  file: string, metadata: GgufMetadata, vocabSize: number, others: Omit<CheckpointTexts, 'tokenizer'>,
): CheckpointTexts {
  const made = tokenizerFromGguf(file, metadata, vocabSize);
  return {
    get tokenizer() {
      return made?.tokenizer;
    },
    tokenizerJson: made?.tokenizerJson,
    tokenizerName: made?.tokenizerName,
    ...others,
    tokenizerConfig: others.tokenizerConfig ?? made?.tokenizerConfig,
  };
}

function readKeys(file: string, metadata: GgufMetadata, vocabSize: number): GgmlTokenizer {
  const fail = (key: string, complaint: string): never => {
    throw new TokenizerError(`${file}: metadata key ${key} ${complaint}`);
  };
  const list: GgmlTokenizer['list'] = <T extends GgufScalar>(key: string, type: 'string' | 'number') => {
    const value = metadata.get(key)?.value;
    if (value === undefined) return undefined;
    const isList = Array.isArray(value) && value.every((item) => typeof item === type && !Number.isNaN(item));
    return isList ? (value as T[]) : fail(key, `must be a list of ${type}s, it is ${show(value)}`);
  };
  const flag = (key: string): boolean | undefined => {
    const value = metadata.get(key)?.value;
    return value === undefined || typeof value === 'boolean' ? value : fail(key, `is ${show(value)}, not true or false`);
  };
  const tokens = list<string>(KEYS.tokens, 'string') ?? fail(KEYS.tokens, 'is missing');
  if (tokens.length > vocabSize) fail(KEYS.tokens, `has ${tokens.length} tokens, but the model has a vocabulary of ${vocabSize}`);
  if (tokens.reduce((sum, token) => sum + token.length, 0) > MAX_CHARACTERS) fail(KEYS.tokens, `has more than ${MAX_CHARACTERS} characters`);
  const types = list<number>(KEYS.tokenTypes, 'number') ?? tokens.map(() => TOKEN_TYPES.normal);
  if (types.length !== tokens.length) fail(KEYS.tokenTypes, `has ${types.length} entries for ${tokens.length} tokens`);
  const id = (key: string): number | undefined => {
    const value = metadata.get(key)?.value;
    if (value === undefined || (Number.isInteger(value) && tokens[value as number] !== undefined)) return value as number | undefined;
    return fail(key, `is ${show(value)}, not the id of one of ${tokens.length} tokens`);
  };
  return { tokens, types, fail, list, flag, id };
}

function readPre(metadata: GgufMetadata, { fail, tokens }: GgmlTokenizer): GgmlPre {
  const isLlama3 = tokens.length === LLAMA3_TOKENS && String(metadata.get(KEYS.architecture)?.value).startsWith('bitnet');
  const name = metadata.get(KEYS.pre)?.value ?? (isLlama3 ? LLAMA3_PRE : undefined);
  const pre = name === undefined || typeof name === 'string' ? ggmlPre(name) : undefined;
  if (pre === undefined) return fail(KEYS.pre, `is ${show(name)}; this library knows ${GGML_PRES.flatMap(({ names }) => names).join(', ')}`);
  const normalizer = metadata.get(NORMALIZER_KEY)?.value;
  if (normalizer === undefined) return pre;
  if (normalizer !== 'NFC' && normalizer !== 'none') fail(NORMALIZER_KEY, `is ${show(normalizer)}, not "NFC" or "none"`);
  return { ...pre, normalizer: normalizer === 'NFC' ? 'NFC' : undefined };
}

/** Tokens that are cut out of the text before all else. */
function addedTokens({ tokens, types, fail }: GgmlTokenizer): unknown[] {
  const added: unknown[] = [];
  tokens.forEach((content, id) => {
    const type = types[id];
    const special = type === TOKEN_TYPES.control || type === TOKEN_TYPES.unknown;
    if ((!special && type !== TOKEN_TYPES.userDefined) || content === '') return;
    added.push({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special });
  });
  if (added.length > MAX_ADDED_TOKENS) fail(KEYS.tokenTypes, `makes ${added.length} tokens control or user-defined ones, more than ${MAX_ADDED_TOKENS}`);
  return added;
}

/** The vocabulary of the model itself, each token once. An unused token yields to another one of the same text. */
function vocabulary({ tokens, types, fail }: GgmlTokenizer, without: ReadonlySet<string>): TokenTable {
  const vocab = new TokenTable(tokens.length);
  const isSpare = (n: number): boolean => types[n] === TOKEN_TYPES.unused || tokens[n] === '';
  tokens.forEach((token, id) => {
    if (types[id] === TOKEN_TYPES.unused && without.has(token)) return;
    const other = vocab.get(token);
    if (other === undefined || isSpare(other)) vocab.set(token, id);
    else if (!isSpare(id)) fail(KEYS.tokens, `has ${show(token)} twice, as ${other} and ${id}`);
  });
  return vocab;
}

function entries(vocab: TokenTable): [token: string, id: number][] {
  const list: [string, number][] = [];
  vocab.forEach((id, token) => list.push([token, id]));
  return list;
}

function bpe(vocab: TokenTable, merges: readonly Merge[], more: Record<string, unknown>): Bpe {
  return {
    type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false,
    byte_fallback: false, ignore_merges: false, ...more, vocab, merges,
  };
}

/** SentencePiece's BPE: spaces are ▁, characters that are no tokens fall into bytes, the pair of the highest score merges first. */
function sentencePiece(ggml: GgmlTokenizer): TokenizerJson {
  const { tokens, types, fail, list, flag, id } = ggml;
  const vocab = vocabulary(ggml, new Set());
  const scores = list<number>(KEYS.scores, 'number') ?? fail(KEYS.scores, 'is missing: a "llama" tokenizer merges by score');
  if (scores.length !== tokens.length) fail(KEYS.scores, `has ${scores.length} entries for ${tokens.length} tokens`);
  const mergeable = entries(vocab).filter(([, n]) => types[n] === TOKEN_TYPES.normal);
  const merges = scoredMerges(new Map(mergeable), scores, MAX_CHARACTERS) ?? fail(KEYS.tokens, 'has tokens too long for the merges to be worked out');
  const prefix = flag(KEYS.addSpacePrefix) ?? true;
  const unknown = id(KEYS.unknownTokenId) ?? types.indexOf(TOKEN_TYPES.unknown);
  const mark = '\u2581';
  const toMark = { type: 'Replace', pattern: { String: ' ' }, content: mark };
  return {
    normalizer: { type: 'Sequence', normalizers: prefix ? [{ type: 'Prepend', prepend: mark }, toMark] : [toMark] },
    pre_tokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: mark }, content: ' ' }, { type: 'ByteFallback' }, { type: 'Fuse' },
        ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: bpe(vocab, merges, { unk_token: tokens[unknown] ?? null, fuse_unk: true, byte_fallback: true }),
  };
}

/** Byte-level BPE, as GPT-2 has it. */
function byteLevel(ggml: GgmlTokenizer, pre: GgmlPre): TokenizerJson {
  const { tokens, types } = ggml;
  const lines = ggml.list<string>(KEYS.merges, 'string') ?? ggml.fail(KEYS.merges, 'is missing: a "gpt2" tokenizer merges by it');
  const halves = (line: string): [string, string] => {
    const space = line.indexOf(' ', 1); // a token may begin with a space, as in llama.cpp
    return space < 0 ? ggml.fail(KEYS.merges, `has ${show(line)}, which is no pair`) : [line.slice(0, space), line.slice(space + 1)];
  };
  // Most are as a tokenizer.json may have them. To cut those here would take memory for each.
  const merges = lines.map((line): Merge => {
    const space = line.indexOf(' ');
    return space > 0 && line.indexOf(' ', space + 1) < 0 && !line.startsWith('#version') ? line : halves(line);
  });
  // Unused tokens that nothing leads to fill up the model's vocabulary: a tokenizer.json does not have them.
  const spare = new Set(tokens.filter((token, n) => types[n] === TOKEN_TYPES.unused && token.length > 1));
  const lengths = new Set([...spare].map((token) => token.length));
  for (const line of lines) if (lengths.has(line.length - 1)) spare.delete(halves(line).join(''));
  return {
    normalizer: pre.normalizer ? { type: pre.normalizer } : null,
    pre_tokenizer: preTokenizerJson(pre),
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: bpe(vocabulary(ggml, spare), merges, { ignore_merges: pre.ignoreMerges === true }),
  };
}

function template(tokens: readonly string[], bos: number | undefined, eos: number | undefined): unknown {
  if (bos === undefined && eos === undefined) return null;
  const special = (id: number | undefined): unknown[] => (id === undefined ? [] : [{ SpecialToken: { id: tokens[id]!, type_id: 0 } }]);
  const around = (sequence: string): unknown[] => [...special(bos), { Sequence: { id: sequence, type_id: 0 } }, ...special(eos)];
  const ids = [bos, eos].filter((id) => id !== undefined).map((id): [string, unknown] => [tokens[id]!, { id: tokens[id], ids: [id], tokens: [tokens[id]] }]);
  return { type: 'TemplateProcessing', single: around('A'), pair: [...around('A'), ...around('B')], special_tokens: Object.fromEntries(ids) };
}

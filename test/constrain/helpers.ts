import { Tokenizer } from 'matmulfree';
import type { Constraint, ConstraintState } from '../../src/constrain/constraint.js';
import { fixture, vocabOf } from '../tokenizer/helpers.js';
import { randomFrom } from '../support/random.js';
import { tokenizerOf } from '../support/tokenizer.js';

export { randomFrom as randomOf };
export type Random = ReturnType<typeof randomFrom>;

/** Tokenizers of every kind, each with a prompt that has text. */
export function tokenizers(): { name: string; tokenizer: Tokenizer; prompt: number[] }[] {
  const real = ['gpt2', 'llama', 'llama3'].map((name) => {
    const tokenizer = tokenizerOf(fixture(`${name}.tokenizer.json`));
    return { name, tokenizer, prompt: tokenizer.encode('Answer:') };
  });
  const others = [['characters alone', charactersAlone()], ['Metaspace', metaspace()], ['few bytes', fewBytes()]] as const;
  return [...real, ...others.map(([name, tokenizer]) => ({ name, tokenizer, prompt: [tokenizer.tokenToId('a')!] }))];
}

const ASCII = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));
const PIECES = ['{"', '":', '", "', '"}', '",', '": "', '[1', ']}', 'true', 'false', 'null', 'the', 'ing', '12', '00', '\\n', '\\u', 'a", "b', '2024-', '-01'];

/** Without bytes: what is no token cannot be written. */
export function charactersAlone(): Tokenizer {
  const tokens = ['<s>', '</s>', ...ASCII, 'é', 'ß', '日', '😀', 'é日', ...PIECES];
  return build(tokens, { decoder: { type: 'Fuse' } });
}

/** Spaces are marks, and the first one of a text is dropped. */
export function metaspace(): Tokenizer {
  const tokens = ['<s>', '</s>', ...ASCII.filter((char) => char !== ' '), '▁', 'é', '本', ...PIECES.map((piece) => piece.replaceAll(' ', '▁')), '▁"', '▁a'];
  return build(tokens, { decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' } });
}

/** Byte-level, with the bytes of ASCII and some others: 'é' and '€' can be written in pieces, 'ê' only as a whole. */
export function fewBytes(): Tokenizer {
  const levels = [0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xe3].map(byteToken);
  const tokens = ['<s>', '</s>', ...ASCII.filter((char) => char !== ' '), 'Ġ', ...levels, levels[3]! + levels[4]!, `x${levels[2]!}`, levels[0]! + byteToken(0xaa), ...PIECES.map((piece) => piece.replaceAll(' ', 'Ġ'))];
  return build(tokens, { decoder: { type: 'ByteLevel' } });
}

export function build(tokens: string[], rest: Record<string, unknown> = {}): Tokenizer {
  const special = ['<s>', '</s>'].filter((token) => tokens.includes(token));
  return tokenizerOf({
    added_tokens: special.map((content) => ({ id: tokens.indexOf(content), content, special: true })),
    ...rest, model: { type: 'BPE', vocab: vocabOf(tokens), merges: [] },
  }, { config: { eos_token: '</s>' } });
}

export function idsOf(mask: Uint32Array): number[] {
  const ids: number[] = [];
  mask.forEach((word, i) => {
    for (let bit = 0; bit < 32; bit++) if ((word >>> bit) & 1) ids.push(i * 32 + bit);
  });
  return ids;
}

/** The ids of tokens whose text is likely to bring an output to its end. */
function closers(tokenizer: Tokenizer): Set<number> {
  const ids = new Set<number>();
  for (let id = 0; id < tokenizer.vocabSize; id++) if (/["}\],]/.test(tokenizer.idToToken(id) ?? '')) ids.add(id);
  return ids;
}

/**
 * Generates with a model that knows nothing: every token is as likely, the end some times as likely as one; late in a text, what brings it
 * to an end is far more likely.
 * @returns the text as a decode stream gives it, and whether it came to an end.
 */
export function generate(
  constraint: Constraint, tokenizer: Tokenizer, prompt: readonly number[], from: Random, maxNewTokens = 300,
): { text: string; ended: boolean; ids: number[]; last: ConstraintState } {
  const stream = tokenizer.createDecodeStream({ prompt });
  const close = closers(tokenizer);
  let state = constraint.start(prompt);
  let text = '';
  const ids: number[] = [];
  while (ids.length < maxNewTokens) {
    const allowed = idsOf(state.mask);
    if (allowed.length === 0 && !state.complete) throw new Error(`a dead end behind ${JSON.stringify(text)}`);
    const isLate = ids.length > 40;
    const closing = isLate ? allowed.filter((id) => close.has(id)) : [];
    const weights = [state.complete ? (isLate ? 1e8 : 20) : 0, 3000 * closing.length, allowed.length];
    const which = pickBy(weights, from);
    if (which === 0) return { text: text + stream.flush(), ended: true, ids, last: state };
    const among = which === 1 ? closing : allowed;
    const id = among[from.integer(0, among.length - 1)]!;
    ids.push(id);
    text += stream.push(id);
    state = state.next(id);
  }
  return { text: text + stream.flush(), ended: state.complete, ids, last: state };
}

/** An index, as often as its weight says. */
function pickBy(weights: readonly number[], from: Random): number {
  let left = from.unit() * weights.reduce((sum, weight) => sum + weight);
  return weights.findIndex((weight) => (left -= weight) < 0);
}

/** Whether a text, written byte by byte, is a whole output. For tokenizers with a token for every byte. */
export function accepts(constraint: Constraint, tokenizer: Tokenizer, text: string): boolean {
  let state = constraint.start([tokenizer.tokenToId('a')!]);
  for (const byte of new TextEncoder().encode(text)) {
    const id = tokenizer.tokenToId(byteToken(byte))!;
    if (!idsOf(state.mask).includes(id)) return false;
    state = state.next(id);
  }
  return state.complete;
}

/** The character that stands for a byte in GPT-2's alphabet. */
function byteToken(byte: number): string {
  if ((byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae) return String.fromCharCode(byte);
  return String.fromCharCode(256 + (byte <= 0x20 ? byte : byte === 0xad ? 67 : byte - 0x7f + 33));
}

/** Byte-level, one token a byte and no other. */
export function bytesAlone(): Tokenizer {
  return build(['<s>', '</s>', ...Array.from({ length: 256 }, (_, byte) => byteToken(byte))], { decoder: { type: 'ByteLevel' } });
}

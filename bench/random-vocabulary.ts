import type { GgufMetadata } from '../src/formats/gguf.js';
import { KEYS } from '../src/checkpoint/gguf-metadata.js';
import { TOKEN_TYPES } from '../src/checkpoint/gguf-tokenizer.js';
import { byteAlphabet } from '../src/tokenizer/byte-alphabet.js';

/* A vocabulary of the size and form of Qwen3's: bytes, what merges make of them, and a few added tokens. Loading does not depend on the words. */

const [MERGES, ADDED] = [151_387, 26];
/** Shares and lengths that give 6 MB of metadata, as Qwen3 has. */
const [LATIN, LEAST, MORE] = [0.83, 2, 3];

export interface RandomVocabulary {
  readonly tokens: readonly string[];
  readonly merges: readonly [left: string, right: string][];
  /** How many of the tokens are added ones, at the end. */
  readonly added: number;
}

export function randomVocabulary(): RandomVocabulary {
  let seed = 1;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
  const tokens = byteAlphabet();
  const known = new Set(tokens);
  const latin = [...' etaoinshrdlucmwfgypbvk'].map((char) => char.charCodeAt(0));
  const other = tokens.map((_, byte) => byte).filter((byte) => byte >= 0x80 && byte < 0xc0).concat([0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8]);
  const merges: [string, string][] = [];
  while (merges.length < MERGES) {
    const pool = random() < LATIN ? latin : other;
    const pick = (): string => tokens[pool[Math.floor(pool.length * random() ** 2.2)]]; // early ones are the frequent ones
    const [left, right] = [pick(), pick()];
    const whole = left + right;
    if (whole.length > LEAST - MORE * Math.log(random() + 1e-9) || right.startsWith('\u0120') || known.has(whole)) continue;
    known.add(whole);
    pool.push(tokens.length);
    tokens.push(whole);
    merges.push([left, right]);
  }
  for (let n = 0; n < ADDED; n++) tokens.push(`<|special_${n}|>`);
  return { tokens, merges, added: ADDED };
}

/** As llama.cpp's converter writes it. */
export function ggufVocabulary({ tokens, merges, added }: RandomVocabulary): GgufMetadata {
  const types = tokens.map((_, id) => (id < tokens.length - added ? TOKEN_TYPES.normal : TOKEN_TYPES.control));
  return new Map([
    [KEYS.tokenizerModel, { type: 'string', value: 'gpt2' }],
    [KEYS.pre, { type: 'string', value: 'qwen2' }],
    [KEYS.tokens, { type: 'array', of: 'string', value: tokens }],
    [KEYS.tokenTypes, { type: 'array', of: 'i32', value: types }],
    [KEYS.merges, { type: 'array', of: 'string', value: merges.map((pair) => pair.join(' ')) }],
    [KEYS.eosTokenId, { type: 'u32', value: tokens.length - 1 }],
  ]);
}

/*
 * `tokenizer.ggml.pre` names the way in which a byte-level tokenizer cuts a text into words before it merges. The names and
 * what they stand for are llama.cpp's; the patterns are spelt as in the tokenizer.json files that they come from.
 */

export interface GgmlPre {
  readonly names: readonly string[];
  /** Each cuts what the one before has left, its matches apart. */
  readonly patterns: readonly string[];
  /** A word that is a token as a whole is not merged from its characters. */
  readonly ignoreMerges?: boolean;
  readonly addBos?: boolean;
  readonly normalizer?: 'NFC' | undefined;
}

export const GPT2_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

export const LLAMA3_PRE = 'llama-bpe';

const llama3Pattern = (digits: string): string =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** The first is what a file means that names none: GPT-2's own pattern, which the whole kind is named after. */
export const GGML_PRES: readonly GgmlPre[] = [
  { names: ['gpt-2', 'jais', 'phi-2', 'trillion'], patterns: [GPT2_PATTERN] },
  { names: ['olmo', 'mpt'], patterns: [GPT2_PATTERN], normalizer: 'NFC' }, // GPT-NeoX's tokenizer, which TriLM has too
  { names: [LLAMA3_PRE, 'llama3', 'llama-v3', 'falcon3', 'falcon_e', 'falcon-h1', 'pixtral'], patterns: [llama3Pattern('\\p{N}{1,3}')], ignoreMerges: true, addBos: true },
  { names: ['dbrx', 'smaug-bpe'], patterns: [llama3Pattern('\\p{N}{1,3}')] },
  { names: ['qwen2', 'deepseek-r1-qwen', 'megrez'], patterns: [llama3Pattern('\\p{N}')], normalizer: 'NFC' },
  { names: ['stablelm2'], patterns: [llama3Pattern('\\p{N}')] },
  { names: ['starcoder', 'refact', 'command-r', 'smollm', 'codeshell', 'exaone', 'minerva-7b'], patterns: ['\\p{N}', GPT2_PATTERN] },
  { names: ['default'], patterns: ['[\\p{P}\\$\\+<=>\\^~\\|]+', GPT2_PATTERN, '\\p{N}+', '[0-9][0-9][0-9]'] },
];

/** What a name stands for, or undefined. */
export function ggmlPre(name: string | undefined): GgmlPre | undefined {
  return name === undefined ? GGML_PRES[0] : GGML_PRES.find(({ names }) => names.includes(name));
}

/** The `pre_tokenizer` entry of a tokenizer.json. */
export function preTokenizerJson({ patterns }: GgmlPre): unknown {
  const split = (Regex: string): unknown => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false });
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
  return { type: 'Sequence', pretokenizers: [...patterns.map(split), byteLevel] };
}

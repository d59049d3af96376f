/** Pre-tokenizers: a normalized text → the words that BPE merges within. */
import type { Json } from './json.js';
import { byteAlphabet, forEachUtf8Byte } from './byte-level.js';
import { applyBehavior, compilePattern, findSpans, SPLIT_BEHAVIORS, type Span, type SplitBehavior } from './pattern.js';
import { escapeLiteral } from './regex.js';

export interface Word {
  readonly text: string;
  /** Whether it begins where the whole input begins (Metaspace's `first`). */
  readonly atStart: boolean;
}

export type PreTokenizer = (words: Word[]) => Word[];

const SUPPORTED = 'ByteLevel, Split, Metaspace, Digits, Punctuation, Whitespace, WhitespaceSplit, Sequence';

/** Builds the pre-tokenizer a `pre_tokenizer` entry describes; an absent entry leaves the text whole. */
export function buildPreTokenizer(json: Json): PreTokenizer {
  if (json.absent) return (words) => words;
  switch (json.type()) {
    case 'Sequence': {
      const steps = json.key('pretokenizers').items().map(buildPreTokenizer);
      return (words) => steps.reduce((current, step) => step(current), words);
    }
    case 'ByteLevel':
      return buildByteLevel(json);
    case 'Split': {
      const behavior = json.key('behavior').oneOf(SPLIT_BEHAVIORS);
      const invert = json.key('invert').boolean(false);
      return splitter(compilePattern(json.key('pattern')), behavior, invert);
    }
    case 'Metaspace':
      return buildMetaspace(json);
    case 'Digits':
      return splitter(/\p{N}/gu, json.key('individual_digits').boolean() ? 'Isolated' : 'Contiguous');
    case 'Punctuation':
      return splitter(/[\p{P}$+<=>^`|~]/gu, json.key('behavior').oneOf(SPLIT_BEHAVIORS, 'Isolated'));
    case 'Whitespace':
      return splitter(
        /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu,
        'Removed',
        true,
      );
    case 'WhitespaceSplit':
      return splitter(/\p{White_Space}/gu, 'Removed');
    default:
      return json.unsupported('pre-tokenizer', SUPPORTED);
  }
}

/** Cuts every word by a pattern; with `invert` the matches are what is kept and the rest are the delimiters. */
function splitter(pattern: RegExp, behavior: SplitBehavior, invert = false): PreTokenizer {
  return (words) => words.flatMap((word) => cut(word, pattern, behavior, invert));
}

function cut(word: Word, pattern: RegExp, behavior: SplitBehavior, invert: boolean): Word[] {
  let spans: Span[] = findSpans(word.text, pattern);
  if (invert) for (const span of spans) span.match = !span.match;
  spans = applyBehavior(spans, behavior);
  const out: Word[] = [];
  for (const { start, end } of spans) {
    if (end > start) out.push({ text: word.text.slice(start, end), atStart: word.atStart && start === 0 });
  }
  return out;
}

function buildByteLevel(json: Json): PreTokenizer {
  const prefix = json.key('add_prefix_space').boolean(true);
  const useRegex = json.key('use_regex').boolean(true);
  // GPT-2's own pattern.
  const pattern = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
  const alphabet = byteAlphabet();

  const toBytes = (word: Word): Word => {
    let text = '';
    forEachUtf8Byte(word.text, (byte) => {
      text += alphabet[byte]!;
    });
    return { text, atStart: word.atStart };
  };
  return (words) => {
    let current = words;
    if (prefix) current = current.map((word) => (word.text.startsWith(' ') ? word : { ...word, text: ` ${word.text}` }));
    if (useRegex) current = current.flatMap((word) => cut(word, pattern, 'Isolated', false));
    return current.map(toBytes);
  };
}

/** How Metaspace treats the beginning of a text, for the pre-tokenizer and the decoder alike. */
export function metaspaceScheme(json: Json): 'always' | 'first' | 'never' {
  const scheme = json.key('prepend_scheme').oneOf(['always', 'first', 'never'] as const, 'always');
  const legacy = json.key('add_prefix_space');
  if (legacy.absent || legacy.boolean()) return scheme;
  if (!json.key('prepend_scheme').absent && scheme !== 'never') legacy.fail(`false does not go with prepend_scheme "${scheme}"`);
  return 'never';
}

function buildMetaspace(json: Json): PreTokenizer {
  const mark = json.key('replacement').char();
  const scheme = metaspaceScheme(json);
  const split = json.key('split').boolean(true);
  const pattern = new RegExp(escapeLiteral(mark), 'gu');

  const marked = (word: Word): Word => {
    const text = word.text.split(' ').join(mark);
    const prepend = !text.startsWith(mark) && (scheme === 'always' || (scheme === 'first' && word.atStart));
    return { text: prepend ? mark + text : text, atStart: word.atStart };
  };
  return (words) => {
    const out = words.map(marked);
    return split ? out.flatMap((word) => cut(word, pattern, 'MergedWithNext', false)) : out;
  };
}

/** Pre-tokenizers: a normalized text → the words that BPE merges within. */
import type { Json } from './json.js';
import { byteAlphabet } from './byte-alphabet.js';
import { forEachUtf8Byte } from './byte-level.js';
import { Growth } from './growth.js';
import { metaspaceScheme } from './metaspace.js';
import type { TextParts } from './text-parts.js';
import { GPT2_PATTERN } from './ggml-pre.js';
import { compilePattern, occurrencesOf, type FindMatches } from './pattern.js';
import { charactersOf } from './regex.js';
import { applyBehavior, findSpans, SPLIT_BEHAVIORS, type Span, type SplitBehavior } from './spans.js';
import { startOf, type TextStart } from './text-start.js';
import { RUST } from './unicode.js';

export interface Word {
  readonly text: string;
  /** Whether it begins where the whole input begins. */
  readonly atStart: boolean;
}

/** `growth` is what the words may yet grow by, where they are not alone, `start` what became of the input's beginning. */
export type PreTokenizer = (words: Word[], growth?: Growth, start?: TextStart) => Word[];

/** A pre-tokenizer within a chain. */
type WordStep = (words: Word[], growth: Growth, start: TextStart) => Word[];

/** Words beyond this become byte-level in slices of so many units: a string that grows by each byte keeps a node for each. */
const BYTE_LEVEL_UNITS = 4096;

const SUPPORTED = 'ByteLevel, Split, Metaspace, Digits, Punctuation, Whitespace, WhitespaceSplit, Sequence';

/** Builds the pre-tokenizer a `pre_tokenizer` entry describes; an absent entry leaves the text whole. */
export function buildPreTokenizer(json: Json, parts: TextParts): PreTokenizer {
  const step = buildStep(json, parts);
  return (words, growth = new Growth(totalLength(words)), start = startOf(false)) => step(words, growth, start);
}

function totalLength(words: Word[]): number {
  return words.reduce((sum, word) => sum + word.text.length, 0);
}

function buildStep(json: Json, parts: TextParts): WordStep {
  if (json.absent) return (words) => words;
  const { unicode } = parts;
  const isSpace = unicode.property('\\p{White_Space}');
  switch (json.type()) {
    case 'Sequence': {
      const steps = json.key('pretokenizers').items().map((item) => buildStep(item, parts));
      return (words, growth, start) => steps.reduce((current, step) => step(current, growth, start), words);
    }
    case 'ByteLevel':
      return buildByteLevel(json, parts);
    case 'Split': {
      const behavior = json.key('behavior').oneOf(SPLIT_BEHAVIORS);
      const invert = json.key('invert').boolean(false);
      return splitter(compilePattern(json.key('pattern'), parts.compileRegex), behavior, invert);
    }
    case 'Metaspace':
      return buildMetaspace(json);
    case 'Digits':
      return splitter(charactersOf(unicode.property('\\p{N}', RUST)), json.key('individual_digits').boolean() ? 'Isolated' : 'Contiguous');
    case 'Punctuation':
      return splitter(charactersOf(unicode.isPunctuation), json.key('behavior').oneOf(SPLIT_BEHAVIORS, 'Isolated'));
    case 'Whitespace':
      return splitter(charactersOf(unicode.isWord, (code) => !unicode.isWord(code) && !isSpace(code)), 'Removed', true);
    case 'WhitespaceSplit':
      return splitter(charactersOf(isSpace), 'Removed');
    default:
      return json.unsupported('pre-tokenizer', SUPPORTED);
  }
}

/** Cuts every word by a pattern; with `invert` the matches are what is kept and the rest are the delimiters. */
function splitter(find: FindMatches, behavior: SplitBehavior, invert = false): WordStep {
  return (words) => words.flatMap((word) => cut(word, find, behavior, invert));
}

function cut(word: Word, find: FindMatches, behavior: SplitBehavior, invert: boolean): Word[] {
  let spans: Span[] = findSpans(word.text, find);
  if (invert) for (const span of spans) span.match = !span.match;
  spans = applyBehavior(spans, behavior);
  const out: Word[] = [];
  for (const { start, end } of spans) {
    if (end > start) out.push({ text: word.text.slice(start, end), atStart: word.atStart && start === 0 });
  }
  return out;
}

function buildByteLevel(json: Json, parts: TextParts): WordStep {
  const prefix = json.key('add_prefix_space').boolean(true);
  const useRegex = json.key('use_regex').boolean(true);
  const find = useRegex ? parts.compileRegex(json, GPT2_PATTERN) : undefined;
  const alphabet = byteAlphabet();
  const codes = Uint16Array.from(alphabet, (char) => char.charCodeAt(0));

  const toBytes = (text: string, growth: Growth): string => {
    let out = '';
    if (text.length <= BYTE_LEVEL_UNITS) {
      forEachUtf8Byte(text, (byte) => {
        out += alphabet[byte]!;
      });
      growth.add(out.length - text.length, json);
      return out;
    }
    const parts: string[] = [];
    for (let at = 0, end: number; at < text.length; at = end) {
      end = Math.min(text.length, at + BYTE_LEVEL_UNITS);
      if (end < text.length && text.codePointAt(end - 1)! > 0xffff) end++;
      const bytes: number[] = [];
      forEachUtf8Byte(text.slice(at, end), (byte) => bytes.push(codes[byte]!));
      growth.add(bytes.length - (end - at), json);
      parts.push(String.fromCharCode(...bytes));
    }
    return parts.join('');
  };
  return (words, growth, { continues }) => {
    let current = words;
    if (prefix) {
      growth.add(words.length, json);
      current = current.map((word) => {
        const plain = word.text.startsWith(' ') || (continues && word.atStart);
        return plain ? word : { ...word, text: ` ${word.text}` };
      });
    }
    if (find) current = current.flatMap((word) => cut(word, find, 'Isolated', false));
    return current.map(({ text, atStart }) => ({ text: toBytes(text, growth), atStart }));
  };
}

function buildMetaspace(json: Json): WordStep {
  const mark = json.key('replacement').char();
  const scheme = metaspaceScheme(json);
  const split = json.key('split').boolean(true);
  const find = occurrencesOf(mark);

  const marked = (word: Word, growth: Growth, { continues, first }: TextStart): Word => {
    const text = word.text.split(' ').join(mark);
    const prepend = !text.startsWith(mark) && !(word.atStart && continues) && (scheme === 'always' || (scheme === 'first' && word.atStart && first > 0));
    growth.add(text.length - word.text.length + (prepend ? mark.length : 0), json);
    return { text: prepend ? mark + text : text, atStart: word.atStart };
  };
  return (words, growth, start) => {
    const out = words.map((word) => marked(word, growth, start));
    return split ? out.flatMap((word) => cut(word, find, 'MergedWithNext', false)) : out;
  };
}

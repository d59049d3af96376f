/** How JSON spells values, as grammar: compact, with at most one space behind a colon or a comma. */
import { allBut, type Grammar, type Node } from './grammar.js';
import { ANY, codesOf, has, intersect, type CodeSet } from './code-points.js';
import { oneOfTexts } from './texts.js';

/** What a string must escape. */
const ESCAPED: CodeSet = [0, 0x1f, 0x22, 0x22, 0x5c, 0x5c];
const SHORT_ESCAPES: readonly (readonly [number, string])[] = [[8, 'b'], [9, 't'], [10, 'n'], [12, 'f'], [13, 'r'], [0x22, '"'], [0x5c, '\\']];
const DIGITS = codesOf('0123456789');
const HEX = codesOf('0123456789abcdefABCDEF');

/** Where a space may be: no text of JSON contains it. */
const FREE = '\0';

export class JsonText {
  readonly comma: Node;
  readonly colon: Node;
  readonly quote: Node;
  readonly digit: Node;
  /** '' or '-'. */
  readonly sign: Node;
  readonly boolean: Node;
  readonly null: Node;
  /** A character of a string in any spelling. */
  readonly anyChar: Node;
  /** A character of a string as `JSON.stringify` spells it. */
  readonly plainChar: Node;
  private readonly grammar: Grammar;
  private readonly space: Node;
  private readonly spelled = new Map<string, Node>();

  constructor(grammar: Grammar) {
    this.grammar = grammar;
    this.space = grammar.optional(grammar.text(' '));
    this.comma = grammar.sequence(grammar.text(','), this.space);
    this.colon = grammar.sequence(grammar.text(':'), this.space);
    this.quote = grammar.text('"');
    this.digit = grammar.chars(DIGITS);
    this.sign = grammar.optional(grammar.text('-'));
    this.boolean = oneOfTexts(grammar, ['true', 'false']);
    this.null = grammar.text('null');
    this.plainChar = this.char(ANY);
    this.anyChar = grammar.choice(grammar.chars(allBut(ESCAPED)), grammar.sequence(grammar.text('\\'), grammar.choice(
      grammar.chars(codesOf('"\\/bfnrt')), grammar.sequence(grammar.text('u'), this.fourHex()),
    )));
  }

  /** A character of a set within a string, as `JSON.stringify` spells it. */
  char(set: CodeSet): Node {
    const key = set.join();
    let node = this.spelled.get(key);
    if (!node) this.spelled.set(key, (node = this.spell(set)));
    return node;
  }

  /** A string literal in one spelling. */
  string(text: string): Node {
    return this.grammar.text(this.literal(text));
  }

  /** One of some values, each as it is, with the spaces that are free. */
  oneOf(values: readonly unknown[]): Node {
    return oneOfTexts(this.grammar, values.map((value) => this.spelling(value)), (part) => {
      const pieces = part.split(FREE).map((piece) => this.grammar.text(piece));
      return this.grammar.sequenceOf(pieces.flatMap((piece, i) => (i === 0 ? [piece] : [this.space, piece])));
    });
  }

  private spelling(value: unknown): string {
    if (typeof value === 'string') return this.literal(value);
    if (Array.isArray(value)) return `[${value.map((item) => this.spelling(item)).join(`,${FREE}`)}]`;
    if (typeof value !== 'object' || value === null) return JSON.stringify(value);
    return `{${Object.entries(value).map(([key, item]) => `${this.literal(key)}:${FREE}${this.spelling(item)}`).join(`,${FREE}`)}}`;
  }

  /** A string that holds what `content` matches. */
  quoted(content: Node): Node {
    return this.grammar.sequence(this.quote, content, this.quote);
  }

  /** A whole string that is none of these. */
  stringBut(names: readonly string[]): Node {
    return this.grammar.sequence(this.quote, this.endsUnlike([...new Set(names)], 0));
  }

  /** The rest of a string, closing quote included, that is not the rest of one of `names` behind `at`, which begin alike. */
  private endsUnlike(names: readonly string[], at: number): Node {
    const { grammar } = this;
    if (names.length === 0) return grammar.sequence(grammar.repeat(this.plainChar, 0, Infinity), this.quote);
    const next = new Map<number, string[]>();
    for (const name of names) {
      const code = name.codePointAt(at);
      if (code !== undefined) next.set(code, [...(next.get(code) ?? []), name]);
    }
    const isName = names.some((name) => name.length === at);
    const codes = [...next.keys()].sort((a, b) => a - b).flatMap((code) => [code, code]);
    return grammar.choiceOf([
      isName ? grammar.nothing : this.quote,
      grammar.sequence(this.char(allBut(codes)), this.endsUnlike([], 0)),
      ...[...next].map(([code, rest]) => grammar.sequence(this.char([code, code]), this.endsUnlike(rest, at + (code > 0xffff ? 2 : 1)))),
    ]);
  }

  private spell(set: CodeSet): Node {
    const { grammar } = this;
    const rest = intersect(set, [0, 0x1f]);
    const controls: Node[] = [];
    const escapes: Node[] = [];
    for (const [code, letter] of SHORT_ESCAPES) if (has(set, code)) escapes.push(grammar.text(letter));
    for (let code = 0; code < 0x20; code++) {
      if (has(rest, code) && !SHORT_ESCAPES.some(([short]) => short === code)) controls.push(grammar.text(code.toString(16).padStart(2, '0')));
    }
    if (controls.length > 0) escapes.push(grammar.sequence(grammar.text('u00'), grammar.choice(...controls)));
    const plain = intersect(set, allBut(ESCAPED));
    return grammar.choice(
      plain.length > 0 ? grammar.chars(plain) : grammar.nothing,
      escapes.length > 0 ? grammar.sequence(grammar.text('\\'), grammar.choice(...escapes)) : grammar.nothing,
    );
  }

  private literal(text: string): string {
    return `"${this.escape(text)}"`;
  }

  private escape(text: string): string {
    const spelled = JSON.stringify(text).slice(1, -1);
    if (this.grammar.canWriteAll(spelled)) return spelled;
    return Array.from(text, (char) => {
      const plain = JSON.stringify(char).slice(1, -1);
      if (this.grammar.canWrite(char.codePointAt(0)!) || plain !== char) return plain;
      return Array.from({ length: char.length }, (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`).join('');
    }).join('');
  }

  /** The digits behind \u: a character of the basic plane, or two such escapes for one beyond it. Never half a pair. */
  private fourHex(): Node {
    const { grammar } = this;
    const hex = grammar.chars(HEX);
    const one = (letters: string): Node => grammar.chars(codesOf(letters));
    return grammar.choice(
      grammar.sequence(one('0123456789abcefABCEF'), hex, hex, hex),
      grammar.sequence(one('dD'), one('01234567'), hex, hex),
      grammar.sequence(one('dD'), one('89abAB'), hex, hex, grammar.text('\\u'), one('dD'), one('cdefCDEF'), hex, hex),
    );
  }
}

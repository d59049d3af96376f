import { Given, wholeOf } from './arguments.js';
import { toJson } from './json.js';
import { isContainer, type Filter } from './list-filters.js';
import { toText } from './print.js';
import type { Run } from './run.js';
import { replaceText } from './search.js';
import { capitalize, lower, stripText, upper } from './string-methods.js';
import { concat, cut, mapWhole, plain, type Text } from './text.js';
import { EMPTY, isSequence, isText, isTrue, isUndefined, NONE, nameOf, numberOf, type Value } from './values.js';

/** A change of the value as text, without arguments. */
const ofText = (change: (run: Run, text: Text) => Value): Filter => (run, value, given, name) => {
  void new Given(run, name, given, []);
  return change(run, toText(run, value));
};

const orDefault: Filter = (run, value, given, name) => {
  const options = new Given(run, name, given, ['default_value', 'boolean']);
  if (isUndefined(value) && value.isRefused) run.fail(value.why);
  const isMissing = isUndefined(value) || (options.flag('boolean') && !isTrue(run, value));
  return isMissing ? (options.value('default_value') ?? EMPTY) : value;
};

/** Jinja's own, which does not know that ß is Ss at the beginning of a word. */
function beginLarge(word: string): string {
  const first = String.fromCodePoint(word.codePointAt(0)!);
  return first.toUpperCase() + word.slice(first.length).toLowerCase();
}

/** Numbers in strings, as Python reads them. */
const NUMBER = /^[-+]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[-+]?\d+)?$/i;
const WHOLE = /^[-+]?\d+(?:_\d+)*$/;

function readNumber(run: Run, text: string): number | undefined {
  run.spendCharacters(text.length * 2);
  if (text.length > 400) return undefined;
  const trimmed = text.trim().replaceAll('_', '');
  const word = /^([-+]?)(inf(?:inity)?|nan)$/i.exec(trimmed);
  if (word) return /^n/i.test(word[2]!) ? NaN : word[1] === '-' ? -Infinity : Infinity;
  return NUMBER.test(trimmed) ? Number(trimmed) : undefined;
}

function fromFloat(value: number | undefined, otherwise: Value): Value {
  return value === undefined || !Number.isFinite(value) || Math.abs(value) > 1e75 ? otherwise : BigInt(Math.trunc(value));
}

/** Half to even, at so many decimals, exactly. */
function rounded(value: number, digits: number): number {
  if (!Number.isFinite(value) || Math.abs(value) >= 2 ** 52) return value;
  // Only what is a whole number of halves of the last decimal in binary as well can lie just between two.
  const scaled = value * 10 ** digits;
  if (Number.isInteger(value * 2 ** (digits + 1)) && Math.abs(scaled % 1) === 0.5) return (Math.round(scaled / 2) * 2) / 10 ** digits;
  return Number(value.toFixed(digits));
}

const round: Filter = (run, value, given) => {
  const options = new Given(run, 'round', given, ['precision', 'method']);
  const digits = options.whole('precision') ?? 0;
  const method = options.text('method') ?? 'common';
  const number = numberOf(value);
  if (number === undefined) return run.fail(isUndefined(value) ? value.why : `round: ${nameOf(value)}, not a number`);
  if (digits < 0 || digits > 15) run.fail('round: a precision that is not between 0 and 15 is not supported');
  if (method === 'common') return typeof number === 'bigint' ? number : rounded(number, digits);
  if (method !== 'ceil' && method !== 'floor') return run.fail('round: the method is none of "common", "ceil", "floor"');
  return Math[method](Number(number) * 10 ** digits) / 10 ** digits;
};

const tojson: Filter = (run, value, given) => {
  const options = new Given(run, 'tojson', given, ['ensure_ascii', 'indent', 'separators', 'sort_keys']);
  const indent = options.value('indent') ?? NONE;
  const width = wholeOf(indent);
  if (indent !== NONE && width === undefined && !isText(indent)) run.fail(`tojson: indent is ${nameOf(indent)}, not a number`);
  if ((width ?? 0) > 64 || (isText(indent) && indent.text.length > 64)) run.fail('tojson: indent is more than 64');
  const separators = options.value('separators') ?? NONE;
  const [item = plain(indent === NONE ? ', ' : ','), key = plain(': ')] = separators === NONE ? [] : isSequence(separators) ? separators.items : [NONE];
  if (!isText(item) || !isText(key)) return run.fail('tojson: separators is not a pair of strings');
  return toJson(run, value, {
    indent: indent === NONE ? undefined : isText(indent) ? indent.text : ' '.repeat(Math.max(width!, 0)),
    itemSeparator: item.text,
    keySeparator: key.text,
    sortKeys: options.flag('sort_keys'),
    onlyAscii: options.flag('ensure_ascii'),
  });
};

const indent: Filter = (run, value, given) => {
  const options = new Given(run, 'indent', given, ['width', 'first', 'blank']);
  const width = options.value('width') ?? 4n;
  const text = isText(value) ? value : run.fail(isUndefined(value) ? value.why : `indent: ${nameOf(value)}, not a string`);
  const size = wholeOf(width);
  if ((size ?? 0) > 1024) run.fail('indent: a width of more than 1024');
  const space = isText(width) ? width : plain(' '.repeat(Math.max(size ?? run.fail(`indent: the width is ${nameOf(width)}`), 0)));
  const parts: Text[] = options.flag('first') ? [space] : [];
  let from = 0;
  for (let at = text.text.indexOf('\n'); at >= 0; at = text.text.indexOf('\n', from)) {
    parts.push(cut(run, text, from, at + 1));
    from = at + 1;
    const isBlank = text.text[from] === '\n' || from === text.text.length;
    if (!isBlank || options.flag('blank')) parts.push(space);
  }
  return concat(run, [...parts, cut(run, text, from)]);
};

export const TEXT_FILTERS: Record<string, Filter> = {
  default: orDefault,
  d: orDefault,
  upper: ofText(upper),
  lower: ofText(lower),
  capitalize: ofText(capitalize),
  // Jinja begins a word behind white space, a hyphen, and opening brackets.
  title: ofText((run, text) => mapWhole(run, text, (whole) => whole.replace(/[^-\s({[<]+/g, beginLarge))),
  trim: (run, value, given) => stripText(run, toText(run, value), new Given(run, 'trim', given, ['chars']).text('chars')),
  replace: (run, value, given) => {
    const options = new Given(run, 'replace', given, ['old', 'new', 'count'], 2);
    return replaceText(run, toText(run, value), toText(run, options.value('old')!).text, toText(run, options.value('new')!), options.whole('count') ?? -1);
  },
  // Markup has no meaning here: nothing is escaped.
  safe: ofText((_, text) => text),
  string: (run, value, given) => {
    void new Given(run, 'string', given, []);
    // Python writes 'x', others "x": a template that means either would go wrong in the other.
    return isContainer(value) ? run.fail(`the filter string of ${nameOf(value)} is not supported; use tojson`) : toText(run, value);
  },
  wordcount: ofText((run, text) => {
    run.spendCharacters(text.text.length * 4);
    return BigInt(text.text.match(/[\p{L}\p{N}_]+/gu)?.length ?? 0);
  }),
  indent,
  tojson,
  int: (run, value, given) => {
    const options = new Given(run, 'int', given, ['default', 'base']);
    const otherwise = options.value('default') ?? 0n;
    if (options.value('base') !== undefined) run.fail('int: base is not supported');
    if (isUndefined(value)) return run.fail(value.why);
    const number = numberOf(value);
    if (typeof number === 'bigint') return number;
    if (number !== undefined) return fromFloat(number, otherwise);
    if (!isText(value)) return otherwise;
    run.spendCharacters(value.text.length * 2);
    const text = value.text.length > 400 ? '' : value.text.trim();
    if (WHOLE.test(text) && text.length < 78) return BigInt(text.replaceAll('_', '').replace(/^\+/, ''));
    return fromFloat(readNumber(run, value.text), otherwise);
  },
  float: (run, value, given) => {
    const otherwise = new Given(run, 'float', given, ['default']).value('default') ?? 0;
    if (isUndefined(value)) return run.fail(value.why);
    const number = numberOf(value);
    if (number !== undefined) return Number(number);
    return (isText(value) ? readNumber(run, value.text) : undefined) ?? otherwise;
  },
  round,
  abs: (run, value, given) => {
    void new Given(run, 'abs', given, []);
    const number = numberOf(value);
    if (number === undefined) return run.fail(isUndefined(value) ? value.why : `abs: ${nameOf(value)}, not a number`);
    return number < 0 ? -number : number;
  },
};

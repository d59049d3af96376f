import { Given } from './arguments.js';
import { find, findAll, findLast, replaceText, splitAtSpaces, splitText } from './search.js';
import { concat, cut, isSpace, lengthOf, mapWhole, stripped, type Text } from './text.js';
import {
  callable, EMPTY, isSequence, isText, isUndefined, itemsOf, list, nameOf, tuple, type Arguments, type Callable, type Value,
} from './values.js';
import type { Run } from './run.js';

type Method = (run: Run, text: Text, given: Arguments, name: string) => Value;

/** What Python has besides: refused by name rather than missing. */
export const MISSING_METHODS: ReadonlySet<string> = new Set([
  'casefold', 'center', 'encode', 'expandtabs', 'format', 'format_map', 'isascii', 'isdecimal', 'isidentifier', 'isnumeric', 'isprintable', 'istitle',
  'ljust', 'maketrans', 'rindex', 'rjust', 'swapcase', 'translate', 'zfill',
]);

const none = (change: (run: Run, text: Text) => Value): Method => (run, text, given, name) => {
  void new Given(run, name, given, []);
  return change(run, text);
};

const strip = (left: boolean, right: boolean): Method => (run, text, given, name) =>
  stripText(run, text, new Given(run, name, given, ['chars']).text('chars'), left, right);

/** Takes white space, or these characters, off the ends. */
export function stripText(run: Run, text: Text, chars: string | undefined, left = true, right = true): Text {
  const set = new Set(chars);
  run.spendCharacters(text.text.length + set.size);
  return cut(run, text, ...stripped(text.text, chars === undefined ? isSpace : (char) => set.has(char), left, right));
}

const split = (fromRight: boolean): Method => (run, text, given, name) => {
  const options = new Given(run, name, given, ['sep', 'maxsplit']);
  const separator = options.text('sep');
  if (separator === '') return run.fail(`${name}: an empty separator`);
  const limit = options.whole('maxsplit') ?? -1;
  return list(separator === undefined ? splitAtSpaces(run, text, limit, fromRight) : splitText(run, text, separator, limit, fromRight));
};

const partition = (fromRight: boolean): Method => (run, text, given, name) => {
  const separator = new Given(run, name, given, ['sep'], 1).text('sep') ?? '';
  if (separator === '') return run.fail(`${name}: an empty separator`);
  const at = fromRight ? findLast(run, text.text, separator) : find(run, text.text, separator);
  if (at < 0) return tuple(fromRight ? [EMPTY, EMPTY, text] : [text, EMPTY, EMPTY]);
  const end = at + separator.length;
  return tuple([cut(run, text, 0, at), cut(run, text, at, end), cut(run, text, end)]);
};

/** `startswith`, `endswith`: one text, or several in a tuple. */
const has = (test: (text: string, part: string) => boolean): Method => (run, { text }, given, name) => {
  const wanted = new Given(run, name, given, ['prefix'], 1).value('prefix')!;
  const parts = isSequence(wanted) && wanted.kind === 'tuple' ? wanted.items : [wanted];
  return parts.some((part) => {
    if (!isText(part)) return run.fail(isUndefined(part) ? part.why : `${name}: ${nameOf(part)}, not a string`);
    run.spendCharacters(part.text.length);
    return test(text, part.text);
  });
};

const search = (where: typeof find, isIndex: boolean): Method => (run, { text }, given, name) => {
  const at = where(run, text, new Given(run, name, given, ['sub'], 1).text('sub') ?? '');
  if (at < 0) return isIndex ? run.fail('index: the string does not have this part') : -1n;
  return BigInt(lengthOf(run, text.slice(0, at)));
};

const all = (pattern: RegExp): Method => none((run, { text }) => {
  run.spendCharacters(text.length * 4);
  return pattern.test(text);
});

/** All letters that have two forms are of this one, and there is one. */
const isCase = (own: RegExp, other: RegExp) => (run: Run, { text }: Text): boolean => {
  run.spendCharacters(text.length * 4);
  return own.test(text) && !other.test(text);
};
export const isUpper = isCase(/\p{Lu}/u, /[\p{Ll}\p{Lt}]/u);
export const isLower = isCase(/\p{Ll}/u, /[\p{Lu}\p{Lt}]/u);

const METHODS: Record<string, Method> = {
  strip: strip(true, true),
  lstrip: strip(true, false),
  rstrip: strip(false, true),
  split: split(false),
  rsplit: split(true),
  splitlines: (run, text, given) => {
    const keepEnds = new Given(run, 'splitlines', given, ['keepends']).flag('keepends');
    const lines: Value[] = [];
    run.spendCharacters(text.text.length * 4);
    for (const match of text.text.matchAll(/[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]*(\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]|$)/g)) {
      if (match[0] !== '') lines.push(cut(run, text, match.index, match.index + match[0].length - (keepEnds ? 0 : match[1]!.length)));
    }
    return list(lines);
  },
  partition: partition(false),
  rpartition: partition(true),
  startswith: has((text, part) => text.startsWith(part)),
  endswith: has((text, part) => text.endsWith(part)),
  removeprefix: (run, text, given) => {
    const part = new Given(run, 'removeprefix', given, ['prefix'], 1).text('prefix') ?? '';
    return text.text.startsWith(part) ? cut(run, text, part.length) : text;
  },
  removesuffix: (run, text, given) => {
    const part = new Given(run, 'removesuffix', given, ['suffix'], 1).text('suffix') ?? '';
    return text.text.endsWith(part) ? cut(run, text, 0, text.text.length - part.length) : text;
  },
  replace: (run, text, given) => {
    const options = new Given(run, 'replace', given, ['old', 'new', 'count'], 2);
    const by = options.value('new')!;
    return isText(by) ? replaceText(run, text, options.text('old') ?? '', by, options.whole('count') ?? -1) : run.fail(`replace: new is ${nameOf(by)}, not a string`);
  },
  find: search(find, false),
  rfind: search(findLast, false),
  index: search(find, true),
  count: (run, { text }, given) => BigInt(findAll(run, text, new Given(run, 'count', given, ['sub'], 1).text('sub') ?? '', -1).length),
  join: (run, text, given) => {
    const items = itemsOf(run, new Given(run, 'join', given, ['items'], 1).value('items')!);
    const parts = items.map((item) => (isText(item) ? item : run.fail(isUndefined(item) ? item.why : `join: ${nameOf(item)} among the strings`)));
    return concat(run, parts.flatMap((part, i) => (i === 0 ? [part] : [text, part])));
  },
  upper: none(upper),
  lower: none(lower),
  capitalize: none(capitalize),
  // Python begins a word behind all that is no letter, also behind an apostrophe.
  title: none((run, text) => mapWhole(run, text, (whole) => whole.replace(/\p{L}+/gu, capitalized))),
  isalnum: all(/^[\p{L}\p{N}]+$/u),
  isalpha: all(/^\p{L}+$/u),
  isdigit: all(/^[\p{Nd}\u00b2\u00b3\u00b9\u2070\u2074-\u2079\u2080-\u2089]+$/u),
  isspace: none((run, { text }) => {
    run.spendCharacters(text.length);
    return text !== '' && stripped(text, isSpace, true, false)[0] === text.length;
  }),
  isupper: none(isUpper),
  islower: none(isLower),
};

export function isStringMethod(name: string): boolean {
  return Object.hasOwn(METHODS, name);
}

export function stringMethod(text: Text, name: string): Callable {
  return callable(name, (run, given) => METHODS[name]!(run, text, given, name));
}

export function upper(run: Run, text: Text): Text {
  return mapWhole(run, text, (whole) => whole.toUpperCase());
}

export function lower(run: Run, text: Text): Text {
  return mapWhole(run, text, (whole) => whole.toLowerCase());
}

export function capitalize(run: Run, text: Text): Text {
  return mapWhole(run, text, capitalized);
}

/** The first character large, the others small. */
function capitalized(text: string): string {
  const first = text === '' ? '' : String.fromCodePoint(text.codePointAt(0)!);
  // What is a small sigma depends on what stands before it.
  return large(first) + text.toLowerCase().slice(first.toLowerCase().length);
}

/** The form for the beginning of a word: of ß it is Ss. */
function large(char: string): string {
  const [first = '', ...rest] = char.toUpperCase();
  return first + rest.join('').toLowerCase();
}

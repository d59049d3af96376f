import { create } from './page.js';

/*
 * What stands within a line: bold, italic, code, links. Each pattern takes a limited number of characters, so that no text of a model takes
 * long.
 */

type Mark = readonly [pattern: RegExp, make: (found: RegExpExecArray, depth: number) => Node | undefined];

const wrap = (name: 'strong' | 'em' | 'del') => (found: RegExpExecArray, depth: number): Node => {
  const made = create(name);
  made.append(inline(found[1]!, depth + 1));
  return made;
};

const MARKS: readonly Mark[] = [
  [/\\([\\`*_{}[\]()#+.!|~>-])/y, ([, character]) => new Text(character)],
  [/(`{1,8})(?!`)([^]{0,1000}?[^`])\1(?!`)/y, (found) => create('code', '', found[2]!.replace(/^ (.*\S.*) $/, '$1'))],
  [/\*\*(?=[^\s*])([^]{0,1000}?\S)\*\*/y, wrap('strong')],
  [/(?<!\w)__(?=[^\s_])([^]{0,1000}?\S)__(?!\w)/y, wrap('strong')],
  [/(?<!\*)\*(?=[^\s*])([^*]{0,1000}?[^\s*])\*/y, wrap('em')],
  [/(?<!\w)_(?=[^\s_])([^_]{0,1000}?[^\s_])_(?!\w)/y, wrap('em')],
  [/~~(?=[^\s~])([^~]{0,1000}?\S)~~/y, wrap('del')],
  [/\[([^[\]\n]{1,300})\]\(<?([^\s<>()]{1,1000}(?:\([^\s<>()]{0,300}\)[^\s<>()]{0,300})?)>?\)/y, (found) => link(found[2]!, found[1]!)],
  [/<(https?:\/\/[^\s<>]{1,1000})>/y, (found) => link(found[1]!)],
  [/https?:\/\/[^\s<>"'`\\]{1,1000}/y, (found) => link(found[0])],
];
const CANDIDATE = /[\\`*_~[<]|https?:\/\//g;
/** What ends an address in a sentence is the sentence's. */
const AFTER_ADDRESS = /[.,;:!?'")\]*_~]+$/;
const DEEPEST = 4;

/** A text with its marks, as nodes. What is not known stays as it is written. */
export function inline(text: string, depth = 0): DocumentFragment {
  const made = document.createDocumentFragment();
  let from = 0;
  const candidates = new RegExp(CANDIDATE);
  for (let start = candidates.exec(text); start && depth < DEEPEST; start = candidates.exec(text)) {
    const found = take(text, start.index, depth);
    if (!found) continue;
    made.append(text.slice(from, start.index), found.node);
    from = candidates.lastIndex = start.index + found.length;
  }
  made.append(text.slice(from));
  return made;
}

function take(text: string, at: number, depth: number): { readonly node: Node; readonly length: number } | undefined {
  for (const [pattern, make] of MARKS) {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    const node = found && make(found, depth);
    if (!node) continue;
    const isBare = found[0].startsWith('http');
    return { node, length: isBare ? node.textContent!.length : found[0].length };
  }
  return undefined;
}

/**
 * A link to http and https alone; undefined for all else, such as javascript:. Where its words are not its address, the place that it leads to is told
 * beside them: they may promise another one.
 */
function link(address: string, words?: string): Node | undefined {
  const place = words === undefined && !/^<|>$/.test(address) ? address.replace(AFTER_ADDRESS, '') : address;
  if (!/^https?:\/\//i.test(place) || !URL.canParse(place)) return undefined;
  const { href, host, username, password } = new URL(place);
  if (host === '' || username !== '' || password !== '') return undefined; // https://known.example@other.example
  const made = create('a', '', words ?? place);
  made.href = href;
  made.target = '_blank';
  made.rel = 'noopener noreferrer nofollow';
  made.referrerPolicy = 'no-referrer';
  if (words === undefined) return made;
  const both = create('span');
  both.append(made, create('span', 'note', ` (${host})`));
  return both;
}

/*
 * The Markdown that models write, as far as a conversation needs it: paragraphs, headings, lists, quotes, rules, blocks of code. What is meant as HTML is text
 * here, as everything else that is not known.
 */

export type Block =
  | { readonly kind: 'paragraph'; readonly text: string }
  | { readonly kind: 'heading'; readonly level: number; readonly text: string }
  | { readonly kind: 'code'; readonly language: string; readonly text: string }
  | { readonly kind: 'list'; readonly first: number | undefined; readonly items: readonly (readonly Block[])[] }
  | { readonly kind: 'quote'; readonly blocks: readonly Block[] }
  | { readonly kind: 'rule' };

/** A block, and the line that it begins with. */
export interface Placed {
  readonly block: Block;
  readonly from: number;
}

/** A paragraph that is longer goes on in another one: browsers lay out all of a paragraph when a word is added to it. */
const LONG = 4000;
/** Lists and quotes within each other; what is deeper is text. */
const DEEPEST = 6;

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)(?:[-*+•]|(\d{1,9})[.)])(?: +|$)/;

/** @param depth of lists and quotes around the lines. */
export function parseBlocks(lines: readonly string[], depth = 0): Placed[] {
  const found: Placed[] = [];
  let at = 0;
  while (at < lines.length) {
    const from = at;
    const line = lines[at]!;
    const fence = FENCE.exec(line);
    const heading = line.length > LONG ? null : HEADING.exec(line);
    if (line.trim() === '') at++;
    else if (fence) at = takeCode(lines, from, fence, found);
    else if (heading) {
      at++;
      found.push({ from, block: { kind: 'heading', level: heading[1]!.length, text: heading[2]! } });
    } else if (RULE.test(line)) {
      at++;
      found.push({ from, block: { kind: 'rule' } });
    } else if (QUOTE.test(line) && depth < DEEPEST) {
      while (at < lines.length && QUOTE.test(lines[at]!)) at++;
      const inside = lines.slice(from, at).map((each) => each.replace(QUOTE, ''));
      found.push({ from, block: { kind: 'quote', blocks: plain(parseBlocks(inside, depth + 1)) } });
    } else if (ITEM.test(line) && depth < DEEPEST) at = takeList(lines, from, depth, found);
    else at = takeParagraph(lines, from, depth, found);
  }
  return found;
}

function plain(placed: readonly Placed[]): Block[] {
  return placed.map(({ block }) => block);
}

/** Up to the fence that ends it, or the end of what is there yet. */
function takeCode(lines: readonly string[], from: number, fence: RegExpExecArray, found: Placed[]): number {
  const [, mark, language = ''] = fence as unknown as [string, string, string?];
  const ends = (line: string): boolean => line.trim().length >= mark.length && line.trim() === mark[0]!.repeat(line.trim().length);
  let end = from + 1;
  while (end < lines.length && !ends(lines[end]!)) end++;
  found.push({ from, block: { kind: 'code', language, text: lines.slice(from + 1, end).join('\n') } });
  return end + 1;
}

/** Items one below the other. What belongs to one is further to the right than its mark. */
function takeList(lines: readonly string[], from: number, depth: number, found: Placed[]): number {
  const [, { length: margin }, number] = ITEM.exec(lines[from]!) as unknown as [string, string, string?];
  const items: string[][] = [];
  let at = from;
  for (; at < lines.length; at++) {
    const line = lines[at]!;
    const item = ITEM.exec(line);
    const indent = line.length - line.trimStart().length;
    if (item && item[1]!.length <= margin + 1) {
      if (item[1]!.length < margin || (item[2] === undefined) !== (number === undefined) || RULE.test(line)) break;
      items.push([line.slice(item[0].length)]);
    } else if (line.trim() === '' || indent > margin) items.at(-1)!.push(line.slice(Math.min(indent, margin + 2)));
    else if (lines[at - 1]!.trim() === '' || isBlockStart(line, depth)) break;
    else items.at(-1)!.push(line); // a line of its paragraph that was not indented
  }
  const first = number === undefined ? undefined : Number(number);
  found.push({ from, block: { kind: 'list', first, items: items.map((item) => plain(parseBlocks(item, depth + 1))) } });
  return at;
}

function takeParagraph(lines: readonly string[], from: number, depth: number, found: Placed[]): number {
  let at = from + 1;
  let { length } = lines[from]!;
  while (at < lines.length && lines[at]!.trim() !== '' && !isBlockStart(lines[at]!, depth) && length + lines[at]!.length <= LONG) length += lines[at++]!.length;
  for (const text of shortened(lines.slice(from, at).join('\n'))) found.push({ from, block: { kind: 'paragraph', text } });
  return at;
}

/** A text that is too long, in pieces: at its spaces, or anywhere. */
function shortened(text: string): string[] {
  const pieces: string[] = [];
  let from = 0;
  while (text.length - from > LONG) {
    const space = text.lastIndexOf(' ', from + LONG) + 1;
    const to = space > from + LONG / 2 ? space : from + LONG;
    const end = /[\uD800-\uDBFF]/.test(text[to - 1]!) ? to - 1 : to; // not within a character
    pieces.push(text.slice(from, end));
    from = end;
  }
  return [...pieces, text.slice(from)];
}

function isBlockStart(line: string, depth: number): boolean {
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || (depth < DEEPEST && (QUOTE.test(line) || ITEM.test(line)));
}

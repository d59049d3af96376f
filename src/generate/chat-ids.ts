import { textOf } from '../chat/piece-text.js';
import type { TemplatePiece } from '../chat/text.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';

/**
 * Ids of a rendered conversation: those of its text, but that control tokens are found only in what the template wrote. One that somebody
 * typed is text like any other.
 * @param isStart whether it begins a text; then it gets the BOS of the tokenizer, unless the template has written it.
 */
export function encodeRendered(tokenizer: Tokenizer, pieces: readonly TemplatePiece[], isStart: boolean): number[] {
  const text = textOf(pieces);
  const ids: number[] = [];
  let done = 0;
  for (const at of [...cuts(tokenizer.addedTokens, pieces, text), text.length]) {
    const part = text.slice(done, at);
    for (const id of tokenizer.encode(part, { addSpecialTokens: false, continues: !isStart || done > 0 })) ids.push(id);
    done = at;
  }
  const { bosTokenId } = tokenizer;
  if (isStart && bosTokenId !== undefined && tokenizer.encode('')[0] === bosTokenId && ids[0] !== bosTokenId) ids.unshift(bosTokenId);
  return ids;
}

/** Places within control tokens any character of which is data: what is on both sides of such a place is encoded apart. */
function cuts(tokens: readonly string[], pieces: readonly TemplatePiece[], text: string): number[] {
  const places = new Set<number>();
  const longest = tokens.reduce((most, token) => Math.max(most, token.length), 0);
  let start = 0;
  for (const piece of pieces) {
    const end = start + piece.text.length;
    if (!piece.isTemplate) {
      const [from, to] = [Math.max(0, start - longest + 1), Math.min(text.length, end + longest - 1)];
      const around = text.slice(from, to);
      for (const token of tokens) {
        if (token.length < 2) continue; // a single character is not cut; it is data of one letter
        for (let at = around.indexOf(token); at >= 0; at = around.indexOf(token, at + 1)) {
          if (from + at < end && from + at + token.length > start) places.add(from + at + 1);
        }
      }
    }
    start = end;
  }
  return [...places].sort((a, b) => a - b);
}

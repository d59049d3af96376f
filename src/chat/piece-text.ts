import type { TemplatePiece } from './text.js';

/** A rendered conversation as one text. */
export function textOf(pieces: readonly TemplatePiece[]): string {
  return pieces.map(({ text }) => text).join('');
}

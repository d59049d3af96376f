import type { Stage } from './decode-stages.js';

/* BPEDecoder: loaded for the files that have it. */

export function spaced(token: string, suffix: string, space: string): string {
  return suffix === '' ? token : token.split(suffix).join(space);
}

/** The end-of-word suffix becomes a space, but nothing in the last token, so one token is held back. */
export function bpeDecoder(suffix: string): Stage {
  let held: string | undefined;
  return {
    push(token, emit) {
      if (held !== undefined) emit(spaced(held, suffix, ' '));
      held = token;
    },
    flush(emit) {
      if (held !== undefined) emit(spaced(held, suffix, ''));
      held = undefined;
    },
  };
}

/** The stages decoders are made of. Each holds the state of one text. */
import { Utf8Stream } from './byte-level.js';

export type Emit = (text: string) => void;

export interface Stage {
  push(text: string, emit: Emit): void;
  flush(emit: Emit): void;
}

export function perToken(change: (token: string) => string): Stage {
  return { push: (token, emit) => emit(change(token)), flush() {} };
}

/** For what cannot be done in fragments: everything waits for the end. */
export function wholeText(change: (text: string) => string): Stage {
  let text = '';
  return {
    push(fragment) {
      text += fragment;
    },
    flush(emit) {
      emit(change(text));
      text = '';
    },
  };
}

/** Without a decoder tokens are joined by spaces. */
export function join(separator: string): Stage {
  let first = true;
  return {
    push(token, emit) {
      emit(first ? token : separator + token);
      first = false;
    },
    flush() {},
  };
}

/** The byte a token like <0x0A> stands for, or -1. */
function byteOf(token: string): number {
  return /^<0x[0-9A-Fa-f]{2}>$/.test(token) ? parseInt(token.slice(3, 5), 16) : -1;
}

/**
 * A run of byte tokens that is valid UTF-8 becomes its text, any other one U+FFFD a byte. A stream cannot take back
 * characters of a run that goes wrong later, so there only the malformed bytes become U+FFFD.
 */
export function byteFallback(streaming: boolean): Stage {
  const utf8 = new Utf8Stream(true);
  let run: number[] = [];
  const endRun = (emit: Emit): void => {
    if (streaming) {
      const rest = utf8.flush();
      if (rest !== '') emit(rest);
    } else if (run.length > 0) {
      emitRun(run, emit);
      run = [];
    }
  };
  return {
    push(token, emit) {
      const byte = byteOf(token);
      if (byte < 0) {
        endRun(emit);
        emit(token);
      } else if (streaming) {
        const text = utf8.push(byte);
        if (text !== '') emit(text);
      } else {
        run.push(byte);
      }
    },
    flush: endRun,
  };
}

function emitRun(run: number[], emit: Emit): void {
  try {
    emit(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(run)));
  } catch {
    for (let i = 0; i < run.length; i++) emit('\ufffd');
  }
}

/** ByteFallback on a text that is one token already. */
export function fallbackOfOne(text: string): string {
  const byte = byteOf(text);
  return byte < 0 ? text : byte < 0x80 ? String.fromCharCode(byte) : '\ufffd';
}

export function strip(token: string, char: string, start: number, stop: number): string {
  const chars = [...token];
  let from = 0;
  while (from < start && chars[from] === char) from++;
  let to = chars.length;
  while (to > from && chars.length - to < stop && chars[to - 1] === char) to--;
  return chars.slice(from, to).join('');
}

/** Strip over fragments: drops at the beginning once, and holds back what may turn out to be the end. */
export function stripFragments(char: string, start: number, stop: number): Stage {
  let left = start;
  let held = 0; // trailing `char`s not yet given out
  return {
    push(fragment, emit) {
      let text = fragment;
      while (left > 0 && text !== '') {
        if (text.startsWith(char)) {
          text = text.slice(char.length);
          left--;
        } else {
          left = 0;
        }
      }
      if (text === '') return;
      let end = text.length;
      while (end > 0 && text.endsWith(char, end)) end -= char.length;
      const more = (text.length - end) / char.length;
      // What was held back comes out before other text; in a run that goes on, only as much as is too much at the end.
      const before = end > 0 ? held : Math.max(0, held + more - stop);
      held = end > 0 ? Math.min(stop, more) : Math.min(stop, held + more);
      emit(end > 0 ? char.repeat(before) + text.slice(0, text.length - held * char.length) : char.repeat(before));
    },
    flush() {
      held = 0;
    },
  };
}

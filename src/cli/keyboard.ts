import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';

/** What was entered; or 'interrupt' and 'end' for Ctrl-C and Ctrl-D where nothing was written, 'discard' for Ctrl-C where something was. */
export type Typed = { readonly text: string } | 'discard' | 'interrupt' | 'end';

/** Somebody at a terminal: edits lines, with the history of those before. What is typed while nothing is asked for is shown and read the next time. */
export interface Keyboard {
  /** The next line, or several that were pasted. */
  read(prompt: string): Promise<Typed>;
  /** What Ctrl-C does while nothing is asked for. */
  onInterrupt(listener: () => void): void;
  /** Gives the terminal back. */
  close(): void;
}

/** In this mode (xterm's "bracketed paste") a terminal tells what is pasted from what is typed. */
const PASTE_MODE = { on: '\x1b[?2004h', off: '\x1b[?2004l' };
const HISTORY = 1000;

type Terminal = NodeJS.WritableStream & { readonly columns?: number };

/** @param signal ends it. */
export function openKeyboard(input: NodeJS.ReadableStream, output: Terminal, signal: AbortSignal): Keyboard {
  const screen = screenOn(output);
  const readline = createInterface({ input, output: screen.stream, terminal: true, historySize: HISTORY, removeHistoryDuplicates: true });
  const mode = process.env['TERM'] === 'dumb' ? { on: '', off: '' } : PASTE_MODE;
  const entered: string[] = [];
  let pasted: string[] = [];
  let isPasting = false;
  let hasEnded = false;
  let waiting: ((typed: Typed) => void) | undefined;
  let interrupted = (): void => {};

  const deliver = (typed: Typed): void => {
    const answer = waiting;
    waiting = undefined;
    screen.isShown = false;
    answer?.(typed);
  };
  const wipe = (): void => {
    entered.length = pasted.length = 0;
    screen.isShown = false;
    readline.write(null, { ctrl: true, name: 'e' });
    readline.write(null, { ctrl: true, name: 'u' });
  };
  const onKey = (_: unknown, key: { readonly name?: string } | undefined): void => {
    if (key?.name === 'paste-start' || key?.name === 'paste-end') isPasting = key.name === 'paste-start';
  };
  let isClosing = false;
  const close = (): void => {
    if (isClosing) return; // a terminal that is gone fails again while it is given back
    isClosing = true;
    readline.close();
  };

  input.on('keypress', onKey);
  signal.addEventListener('abort', close);
  output.write(mode.on);
  readline.on('line', (line) => {
    if (isPasting) return void pasted.push(line);
    const text = [...pasted, line].join('\n');
    pasted = [];
    if (waiting) deliver({ text });
    else entered.push(text);
  });
  readline.on('SIGINT', () => {
    const hasText = readline.line !== '' || pasted.length > 0;
    wipe();
    if (!waiting) return interrupted();
    output.write('^C\n');
    deliver(hasText ? 'discard' : 'interrupt');
  });
  readline.on('close', () => {
    hasEnded = true;
    input.removeListener('keypress', onKey);
    signal.removeEventListener('abort', close);
    screen.close();
    output.write(`${waiting ? '\n' : ''}${mode.off}`);
    deliver('end');
  });
  readline.on('error', close); // the terminal is gone

  return {
    read(prompt) {
      const known = entered.shift();
      if (known !== undefined) {
        output.write(`${prompt}${known}\n`);
        return Promise.resolve({ text: known });
      }
      if (hasEnded) return Promise.resolve('end');
      return new Promise((resolve) => {
        waiting = resolve;
        screen.isShown = true;
        readline.setPrompt(prompt);
        readline.prompt(true);
      });
    },
    onInterrupt(listener) { interrupted = listener; },
    close,
  };
}

/** What a line editor writes on: a terminal, while it is shown. */
function screenOn(output: Terminal): { readonly stream: Writable; isShown: boolean; close(): void } {
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      if (screen.isShown) output.write(chunk);
      done();
    },
  });
  Object.defineProperty(stream, 'columns', { get: () => output.columns });
  const onResize = (): void => void stream.emit('resize');
  output.on('resize', onResize);
  const screen = { stream, isShown: false, close: () => void output.removeListener('resize', onResize) };
  return screen;
}

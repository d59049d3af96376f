import type { Keyboard } from './keyboard.js';
import type { ProgressOutput } from './terminal.js';

/** What a command talks to: the streams and signals of its process, or a test. */
export interface Io {
  readonly stdin: Stdin;
  readonly stdout: { readonly isTTY?: boolean | undefined; write(text: string): unknown };
  readonly stderr: ProgressOutput;
  /** Ctrl-C: what is going on stops. */
  readonly signal: AbortSignal;
}

export interface Stdin {
  /** Whether somebody gives a text there without having been asked: a pipe or a file with something in it. */
  isGiven(): Promise<boolean>;
  bytes(): AsyncIterable<Uint8Array>;
  /** Somebody who types, if there is a terminal. It is to be closed. */
  keyboard?(): Keyboard | undefined;
}

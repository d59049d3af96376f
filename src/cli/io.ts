import type { ProgressOutput } from './terminal.js';

/** What a command talks to: the streams and signals of its process, or a test. */
export interface Io {
  readonly stdin: Stdin;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: ProgressOutput;
  /** Ctrl-C: what is going on stops. */
  readonly signal: AbortSignal;
}

export interface Stdin {
  /** Whether somebody gives a text there without having been asked: a pipe or a file with something in it. */
  isGiven(): Promise<boolean>;
  bytes(): AsyncIterable<Uint8Array>;
}

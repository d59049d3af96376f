import type { ProgressOutput } from './terminal.js';

/** What a command talks to: the streams and signals of its process, or a test. */
export interface Io {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: ProgressOutput;
  /** Ctrl-C: what is going on stops. */
  readonly signal: AbortSignal;
}

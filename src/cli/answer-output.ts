import type { Io } from './io.js';
import { forTerminal } from './terminal.js';

const DIM = { on: '\x1b[2m', off: '\x1b[22m' };

/** Writes answers as they come: the text, and on a terminal the thought before it, dimmed. */
export class AnswerOutput {
  private readonly stdout: Io['stdout'];
  private readonly hasThoughts: boolean;
  private readonly dim: { readonly on: string; readonly off: string } | undefined;
  private part: 'none' | 'thinking' | 'text' = 'none';
  /** White space at the end of a thought, which is written if the thought goes on. */
  private held = '';
  private isAtLineStart = true;

  /** @param hidesThoughts also on a terminal. */
  constructor(stdout: Io['stdout'], hidesThoughts: boolean, env: Readonly<Record<string, string | undefined>> = process.env) {
    this.stdout = stdout;
    this.hasThoughts = stdout.isTTY === true && !hidesThoughts;
    // https://no-color.org: any value but the empty one.
    this.dim = env['NO_COLOR'] || env['TERM'] === 'dumb' ? undefined : DIM;
  }

  write({ type, text }: { readonly type: 'thinking' | 'text'; readonly text: string }): void {
    if (type === 'thinking') return this.hasThoughts ? this.think(text) : undefined;
    if (this.part === 'thinking') this.put('\n\n');
    this.part = 'text';
    this.put(forTerminal(text, this.stdout));
  }

  /** The end of an answer, whole or not. */
  end(): void {
    if (!this.isAtLineStart || this.part === 'none') this.stdout.write('\n');
    this.part = 'none';
    this.held = '';
    this.isAtLineStart = true;
  }

  private think(text: string): void {
    const all = this.held + text;
    const words = this.part === 'none' ? all.trimStart() : all;
    const shown = words.trimEnd();
    this.held = shown === '' && this.part === 'none' ? '' : words.slice(shown.length);
    if (shown === '') return;
    if (this.part === 'none' && !this.dim) this.put('(thinking) ');
    this.part = 'thinking';
    const { on, off } = this.dim ?? { on: '', off: '' };
    this.put(`${on}${forTerminal(shown, this.stdout)}${off}`);
  }

  private put(text: string): void {
    if (text === '') return;
    this.stdout.write(text);
    this.isAtLineStart = text.endsWith('\n');
  }
}

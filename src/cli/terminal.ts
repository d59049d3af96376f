import type { Progress } from '../index.js';

/** Nothing is shown of what is done sooner. */
const PATIENCE_MS = 700;
const REDRAW_MS = 100;
/** In a pipe: a line at most so often, and none of what is done sooner. */
const LINE_MS = 5_000;
/** The rate is that of the last so many milliseconds. */
const RATE_MS = 10_000;

/** Columns of the bar; a label of fewer than MIN_LABEL tells nothing. */
const MAX_BAR = 24;
const MIN_BAR = 8;
const MIN_LABEL = 20;
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** Where progress is shown, and by which clock. */
export interface ProgressOutput {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
  now?(): number;
}

/**
 * Shows progress of slow things on stderr: on a terminal a bar with rate and time left, on one line that is wiped at the end; in a
 * pipe a plain line now and then.
 */
export class ProgressLine {
  private readonly quiet: boolean;
  private readonly output: ProgressOutput;
  private readonly now: () => number;
  private readonly started: number;
  private drawnAt: number;
  private shown = false;
  private label = '';
  private samples: { readonly at: number; readonly done: number }[] = [];

  constructor(quiet: boolean, output: ProgressOutput) {
    this.quiet = quiet;
    this.output = output;
    this.now = () => output.now?.() ?? performance.now();
    this.started = this.drawnAt = this.now();
  }

  /** `format` tells an amount in its unit; a `total` of 0 is one that is not known. */
  update(label: string, done: number, total: number, format: (amount: number) => string = formatBytes): void {
    if (this.quiet) return;
    const now = this.now();
    const rate = this.measureRate(now, label, done);
    const isTerminal = this.output.isTTY === true;
    if (isTerminal ? now - this.started < PATIENCE_MS || now - this.drawnAt < REDRAW_MS : now - this.drawnAt < LINE_MS) return;
    this.drawnAt = now;
    const share = Math.min(1, done / total);
    const parts = [total > 0 ? `${format(done)} of ${format(total)}` : format(done)];
    if (rate > 0) parts.push(`${format(Math.round(rate))}/s`);
    if (rate > 0 && total > 0) parts.push(`${formatDuration(Math.max(0, total - done) / rate)} left`);
    const percent = total > 0 ? `${Math.floor(share * 100)}%` : '';
    const amounts = parts.join(' · ');
    if (!isTerminal) return void this.output.write(`${onOneLine(label)}${amounts && ': '}${percent}${percent && ', '}${amounts}\n`);
    this.output.write(`\r\x1b[2K${layOut(onOneLine(label), total > 0 ? share : undefined, `${percent}${percent && ' '}${amounts}`, (this.output.columns || 80) - 1)}`);
    this.shown = true;
  }

  clear(): void {
    if (this.shown) this.output.write('\r\x1b[2K');
    this.shown = false;
  }

  /** For `onProgress` options. */
  readonly listener = ({ stage, file, loaded, total }: Progress): void => {
    if (stage === 'offline') {
      this.clear();
      if (!this.quiet) this.output.write(`${onOneLine(file)}: the server cannot be reached; using what is in the cache\n`);
      return;
    }
    if (stage === 'connect') return this.update(`waiting for the server of ${file}`, 0, 0, () => '');
    const label = { download: `downloading ${file}`, verify: `checking ${file}`, load: 'loading', convert: 'converting' }[stage];
    this.update(label, loaded, total);
  };

  /** Units a second, lately; 0 while that cannot be told. */
  private measureRate(now: number, label: string, done: number): number {
    const last = this.samples.at(-1);
    if (label !== this.label || (last && done < last.done)) this.samples = []; // another file, or this one anew
    this.label = label;
    if (!last || this.samples.length === 0 || now - last.at >= REDRAW_MS) this.samples.push({ at: now, done });
    while (this.samples.length > 2 && now - this.samples[0]!.at > RATE_MS) this.samples.shift();
    const first = this.samples[0]!;
    return now - first.at >= PATIENCE_MS ? ((done - first.done) / (now - first.at)) * 1000 : 0;
  }
}

/** Label, bar and figures in `columns`. What there is no room for goes: first the bar, then the label's end, then the figures'. */
function layOut(label: string, share: number | undefined, figures: string, columns: number): string {
  const room = columns - figures.length - 2; // for label and bar
  const width = Math.max(MIN_BAR, Math.min(MAX_BAR, room - widthOf(label)));
  const hasBar = share !== undefined && room - width >= Math.min(MIN_LABEL, widthOf(label));
  const bar = hasBar ? `${'█'.repeat(Math.round(share * width)).padEnd(width, '░')} ` : '';
  const name = fit(label, hasBar ? room - width : room + 1);
  return fit(`${name}${name && ' '}${bar}${figures}`, columns);
}

/** Cuts `text` to so many columns. */
function fit(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  const cut = [...text];
  while (cut.length > 0 && widthOf(cut.join('')) >= columns) cut.pop();
  return cut.length > 0 ? `${cut.join('')}…` : '';
}

/** Columns that a terminal gives it: two to characters of East Asian scripts and to pictures. */
function widthOf(text: string): number {
  return [...text].reduce((sum, char) => sum + (WIDE.test(char) ? 2 : 1), 0);
}

/** "0:07", "12:30", "1:02:03". */
export function formatDuration(seconds: number): string {
  const whole = Math.ceil(seconds);
  const two = (n: number): string => String(n).padStart(2, '0');
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}:${two(whole % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ['kB', 'MB', 'GB'];
  let value = bytes;
  let unit = 'B';
  for (const next of units) {
    if (value < 1000) break;
    value /= 1000;
    unit = next;
  }
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ${unit}`;
}

/** Node's "EISDIR: illegal operation on a directory, read '/x'" without the code and the path. */
export function describeFileError(error: unknown): string {
  return error instanceof Error ? error.message.replace(/^\w+: /, '').replace(/, \w+( '.*')?$/, '') : String(error);
}

/** Messages quote files: what they quote must not move the cursor, break the line, or turn it around. */
export function onOneLine(message: string): string {
  return message.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
}

/**
 * What a model writes, as an output gets it. A terminal would obey control characters (move the cursor, change its title, send keys): it gets
 * signs in their place, but for line ends and tabs. Nor are there characters that turn the text around. A file or a pipe gets the text as it is.
 */
export function forTerminal(text: string, { isTTY }: { readonly isTTY?: boolean | undefined }): string {
  return isTTY ? text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (char) => (char === '\n' || char === '\t' ? char : '\ufffd')) : text;
}

export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** A perplexity. */
export function decimal(value: number): string {
  return value < 1e6 ? value.toFixed(4) : value.toExponential(4);
}

/** "1 token", "1,234 tokens". */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

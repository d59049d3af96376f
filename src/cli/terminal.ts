import type { Progress } from '../index.js';

/** Nothing is shown of what is done sooner. */
const PATIENCE_MS = 700;
const REDRAW_MS = 100;

/** Shows progress of slow things on stderr, on one line that is wiped at the end; on a terminal only. */
export class ProgressLine {
  private readonly started = performance.now();
  private drawnAt = 0;
  private shown = false;
  private readonly enabled: boolean;

  constructor(quiet: boolean) {
    this.enabled = !quiet && process.stderr.isTTY === true;
  }

  update(label: string, done: number, total: number): void {
    const now = performance.now();
    if (!this.enabled || now - this.started < PATIENCE_MS || now - this.drawnAt < REDRAW_MS) return;
    this.drawnAt = now;
    this.shown = true;
    const share = total > 0 ? Math.min(1, done / total) : 0;
    const bar = '█'.repeat(Math.round(share * 24)).padEnd(24, '░');
    process.stderr.write(`\r\x1b[2K${label} ${bar} ${(share * 100).toFixed(0)}%`);
  }

  clear(): void {
    if (this.shown) process.stderr.write('\r\x1b[2K');
    this.shown = false;
  }

  /** For `onProgress` options. */
  readonly listener = ({ stage, loaded, total }: Progress): void => {
    this.update(stage === 'load' ? 'loading' : 'converting', loaded, total);
  };
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

/** Messages quote files: what they quote must not move the cursor or break the line. */
export function onOneLine(message: string): string {
  return message.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').trim();
}

export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

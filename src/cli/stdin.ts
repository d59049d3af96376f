import { fstatSync } from 'node:fs';
import { addAbortSignal } from 'node:stream';
import type { Stdin } from './io.js';
import { openKeyboard } from './keyboard.js';

/** So long a program that started this one has time to begin with a text. Shells' pipes and files are waited for without end. */
const PATIENCE_MS = 1000;

/** That of this process. It is not touched before it is asked for. */
export function processStdin(signal: AbortSignal): Stdin {
  return {
    bytes() {
      if (process.stdin.isTTY) process.stderr.write('reading from the terminal; Ctrl-D ends the text\n');
      return addAbortSignal(signal, process.stdin);
    },
    keyboard() {
      const { stdin, stdout, stderr } = process;
      if (!stdin.isTTY) return undefined;
      // It has no end but with its terminal. That is known here before the signal comes.
      const hangUp = (): void => void process.emit('SIGHUP', 'SIGHUP');
      stdin.once('end', hangUp).once('error', hangUp);
      return openKeyboard(stdin, stdout.isTTY ? stdout : stderr, signal);
    },
    async isGiven() {
      const stat = fstatSync(0);
      if (!stat.isFIFO() && !stat.isSocket()) return stat.isFile() && stat.size > 0; // a terminal, or nothing
      const isGiven = await hasBytes(stat.isSocket() ? PATIENCE_MS : undefined, signal);
      if (!isGiven) process.stdin.destroy(); // or it would keep the process
      return isGiven;
    },
  };
}

/** Waits for the first bytes or the end, at most `patience` milliseconds: who started us with a pipe may never write into it. */
async function hasBytes(patience: number | undefined, signal: AbortSignal): Promise<boolean> {
  const { stdin } = process;
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise<boolean>((resolve) => {
      const nothing = (): void => resolve(false);
      if (patience !== undefined) timer = setTimeout(nothing, patience);
      stdin.once('readable', () => resolve(stdin.readableLength > 0)); // also at the end of what is empty
      stdin.once('end', nothing).once('error', nothing);
      signal.addEventListener('abort', nothing, { once: true });
    });
  } finally {
    clearTimeout(timer);
    stdin.removeAllListeners('readable');
  }
}

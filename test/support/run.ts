import { spawn, type ChildProcess } from 'node:child_process';
import type { Io, Stdin } from '../../src/cli/io.js';
import { run } from '../../src/cli/run.js';
import { built } from './build.js';
import { repository } from './files.js';

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Run>;
}

/** Starts a TypeScript file of the repository in a process of its own. `flags` are Node's, `input` is what stands on stdin; `onOutput` is told all of stdout so far. */
export function startScript(
  file: string, args: readonly string[] = [], { flags = [], input, timeout, onOutput }: { flags?: readonly string[]; input?: string; timeout?: number; onOutput?: (stdout: string, child: ChildProcess) => void } = {},
): Running {
  // The page's server compiles the sources that it finds beside it.
  const program = file.startsWith('examples/browser/') ? ['--import', 'tsx', repository(file)] : [built(file)];
  const child = spawn(process.execPath, [...flags, ...program, ...args], { cwd: repository('.'), stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'], timeout, killSignal: 'SIGKILL' });
  child.stdin?.end(input);
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]!.setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
      if (name === 'stdout') onOutput?.(output.stdout, child);
    });
  }
  const ended = new Promise<Run>((resolve, reject) => child.on('error', reject).on('close', (code) => resolve({ code, ...output })));
  return { child, ended };
}

/** Runs it to its end. `during` may act on it when it writes; `interrupt` from its start. */
export function runScript(
  file: string, args: readonly string[] = [], during: (kill: (signal: NodeJS.Signals) => void, stdout: string) => void = () => {},
  interrupt?: (kill: (signal: NodeJS.Signals) => void) => Promise<void>,
): Promise<Run> {
  const { child, ended } = startScript(file, args, { onOutput: (stdout) => during((signal) => child.kill(signal), stdout) });
  return interrupt ? Promise.all([ended, interrupt((signal) => child.kill(signal))]).then(([found]) => found) : ended;
}

/** The program `matmulfree` in a process of its own. */
export const startCli = (...args: string[]): Running => startScript('src/cli/main.ts', args);

/** A stdin with nothing in it, or with these bytes. */
export function stdinOf(...chunks: readonly (string | Uint8Array)[]): Stdin {
  return {
    isGiven: async () => chunks.length > 0,
    async *bytes() {
      for (const chunk of chunks) yield Buffer.from(chunk);
    },
  };
}

/** What the program `matmulfree` does and writes, in this process. `io` is what it finds instead of a pipe and silence. */
export async function cliWith(io: Partial<Io>, ...args: string[]): Promise<Omit<Run, 'code'> & { code: number | 'stopped' }> {
  const output = { stdout: '', stderr: '' };
  const code = await run(args, {
    stdin: stdinOf(),
    stdout: { write: (text) => { output.stdout += text; } },
    stderr: { write: (text) => { output.stderr += text; } },
    signal: new AbortController().signal,
    ...io,
  });
  return { code, ...output };
}

export const cli = (...args: string[]): ReturnType<typeof cliWith> => cliWith({}, ...args);

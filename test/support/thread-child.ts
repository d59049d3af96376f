import { spawn } from 'node:child_process';
import { repository } from './files.js';
import type { Run } from './run.js';

/** After this long a process that should have ended by itself is ended: its exit code is null. */
const PATIENCE_MS = 40_000;

/** Runs a TypeScript file of the repository in a process of its own, with flags of Node or V8. */
export function runChild(file: string, args: readonly string[] = [], flags: readonly string[] = []): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...flags, '--import', 'tsx', repository(file), ...args], {
      cwd: repository('.'), stdio: ['ignore', 'pipe', 'pipe'], timeout: PATIENCE_MS, killSignal: 'SIGKILL',
    });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (text: string) => { output[name] += text; });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...output }));
  });
}

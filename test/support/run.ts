import { spawn } from 'node:child_process';
import { repository } from './files.js';

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a TypeScript file of the repository in a process of its own. `during` may act on it when it writes; `interrupt` from its
 * start.
 */
export function runScript(
  file: string, args: readonly string[] = [], during: (kill: (signal: NodeJS.Signals) => void, stdout: string) => void = () => {},
  interrupt?: (kill: (signal: NodeJS.Signals) => void) => Promise<void>,
): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', repository(file), ...args], {
      cwd: repository('.'), stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      during((signal) => child.kill(signal), stdout);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
    interrupt?.((signal) => child.kill(signal)).catch(reject);
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

export const cli = (...args: string[]): Promise<Run> => runScript('src/cli/main.ts', args);

import { startScript, type Run } from './run.js';

/** After this long a process that should have ended by itself is ended: its exit code is null. */
const PATIENCE_MS = 40_000;

/** Runs a TypeScript file of the repository in a process of its own, with flags of Node or V8. */
export function runChild(file: string, args: readonly string[] = [], flags: readonly string[] = []): Promise<Run> {
  return startScript(file, args, { flags, timeout: PATIENCE_MS }).ended;
}

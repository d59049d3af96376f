import { execFile, spawn } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { TestContext } from 'vitest';
import { endWithThisProcess, killGroup } from '../browser/processes.js';
import { EMBEDDED } from './files.js';
import type { Packed } from './packed.js';

const run = promisify(execFile);

export interface FreshProject {
  readonly folder: string;
  /** Runs a program of the project to its end. @returns what it wrote to stdout. */
  run(program: string, ...args: string[]): Promise<string>;
  /** Starts one that goes on until `close`. `isReady` finds in its output, of which `fd` is given, what to return when it is ready. */
  start<T>(program: string, args: readonly string[], isReady: (output: string) => T | undefined): Promise<{ readonly found: T; close(): void }>;
}

const INSTALL_MS = 120_000;
const RUN_MS = 120_000;
const START_MS = 60_000;

/**
 * A new project beside that of `packed`: the package as the registry would give it, other packages of the registry in fixed versions, and
 * `files`, among them `m.gguf`, the embedded model.
 * @returns why there is none, where the registry cannot be reached and npm has not kept them.
 */
export async function freshProject(packed: Packed, name: string, packages: readonly string[], files: Record<string, string>): Promise<FreshProject | string> {
  const folder = join(packed.folder, '..', name);
  await mkdir(folder);
  for (const [file, text] of Object.entries({ 'package.json': '{"type": "module", "private": true}', ...files })) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), text);
  }
  await cp(EMBEDDED, join(folder, 'm.gguf'));
  try {
    const flags = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--fetch-retries=0', '--fetch-timeout=30000'];
    await run('npm', ['install', ...flags, ...packages, packed.tarball], { cwd: folder, timeout: INSTALL_MS });
  } catch (error) {
    const why = /npm error (code .*)/.exec((error as { stderr?: string }).stderr ?? '')?.[1] ?? 'npm takes too long';
    return `${packages.join(' ')} cannot be had here (${why})`;
  }
  return {
    folder,
    run: async (program, ...args) => (await run(program, args, { cwd: folder, timeout: RUN_MS, env: quiet() })).stdout,
    async start(program, args, isReady) {
      // The fourth is for programs that tell there where they listen.
      const child = spawn(program, args, { cwd: folder, env: quiet(), detached: true, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
      endWithThisProcess(child);
      const close = (): void => killGroup(child);
      let output = '';
      let timer: NodeJS.Timeout | undefined;
      const found = new Promise<NonNullable<ReturnType<typeof isReady>>>((resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`${program} is not ready after ${START_MS / 1000} s: ${output}`)), START_MS);
        child.on('error', reject).on('exit', () => reject(new Error(`${program} has ended: ${output}`)));
        for (const stream of [child.stdout, child.stderr, child.stdio[3]]) {
          stream!.on('data', (data: Buffer) => {
            const ready = isReady((output += data.toString()));
            if (ready !== undefined && ready !== null) resolve(ready);
          });
        }
      });
      return { found: await found.catch((error: unknown) => { close(); throw error; }).finally(() => clearTimeout(timer)), close };
    },
  };
}

/** No questions, no colours, nothing told to anybody. */
function quiet(): NodeJS.ProcessEnv {
  return { ...process.env, CI: '1', NO_COLOR: '1', NEXT_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1', DENO_NO_UPDATE_CHECK: '1', NODE_ENV: undefined, NODE_OPTIONS: undefined };
}

/** As `freshProject`; where it cannot be had, the test says why it is skipped. */
export async function projectOrSkip(context: TestContext, ...args: Parameters<typeof freshProject>): Promise<FreshProject> {
  const project = await freshProject(...args);
  if (typeof project === 'string') context.skip(project);
  return project as FreshProject;
}

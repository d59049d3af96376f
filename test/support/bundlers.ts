import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { repository } from './files.js';

const run = promisify(execFile);

/** Bundlers that the dev tools bring along. */
const ESBUILD = repository('node_modules/esbuild/bin/esbuild');
const VITE = repository('node_modules/vite/bin/vite.js');
export const NO_ESBUILD = existsSync(ESBUILD) ? '' : ' (skipped: esbuild is not here)';
export const NO_VITE = existsSync(VITE) ? '' : ' (skipped: vite is not here)';

/** Bundles for browsers: minified, in chunks. A `node:` import anywhere is an error. */
export async function esbuild(folder: string, ...args: string[]): Promise<void> {
  await run(ESBUILD, ['--bundle', '--minify', '--splitting', '--format=esm', '--target=es2022', '--platform=browser', '--log-level=error', ...args], { cwd: folder });
}

/** Builds the page index.html of `folder` into its dist. */
export async function vite(folder: string): Promise<void> {
  await run(process.execPath, [VITE, 'build', '--base', './', '--logLevel', 'error'], { cwd: folder });
}

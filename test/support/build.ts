import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CompilerOptions } from 'typescript';
import { repository } from './files.js';

/*
 * The repository's modules as JavaScript, in the folder .built: what tests run in processes of their own, or send to pages. vitest
 * calls this before the tests (globalSetup); only what has changed is compiled again.
 */

const FOLDERS = ['src', 'test/support', 'test/browser', 'examples'];
/** What those modules read beside them. */
const LINKS = ['examples/models', 'examples/data', 'test/fixtures'];
/** tsc writes the same: `packed.full.test.ts` compares. */
const OPTIONS = { target: 'ES2022', module: 'ES2022', verbatimModuleSyntax: true };

/** The compiled form of a module of the repository, which is named by its path there: `src/cli/main.ts`. */
export function built(file: string): string {
  return repository(`.built/${file.replace(/\.ts$/, '.js')}`);
}

export default async function buildForTests(): Promise<void> {
  await build(FOLDERS);
}

/** With the benchmarks, which run in pages as well. */
export async function buildForBenchmarks(): Promise<void> {
  await build([...FOLDERS, 'bench']);
}

async function build(folders: readonly string[]): Promise<void> {
  const folder = repository('.built');
  await forgetOthers(folder);
  const sources = (await Promise.all(folders.map(modulesIn))).flat();
  const stale = (await Promise.all(sources.map(async (file) => ((await isFresh(file)) ? [] : [file])))).flat();
  if (stale.length > 0) {
    const { default: ts } = await import('typescript');
    const { options } = ts.convertCompilerOptionsFromJson(OPTIONS, folder) as { options: CompilerOptions };
    for (const file of stale) await compile(file, (text) => ts.transpileModule(text, { compilerOptions: options }).outputText);
  }
  const wanted = new Set(sources.map(built));
  const there = (await Promise.all(folders.map((name) => filesIn(join(folder, name))))).flat();
  await Promise.all(there.filter((file) => file.endsWith('.js') && !wanted.has(file)).map((file) => rm(file, { force: true })));
}

/** A new folder if it was built in another way. Its package.json lets modules import `matmulfree` by name. */
async function forgetOthers(folder: string): Promise<void> {
  const text = await readFile(repository('package.json'), 'utf8');
  const { name, version, exports } = JSON.parse(text.replaceAll('./dist/', './src/')) as Record<string, unknown>;
  const description = JSON.stringify({ name, version, type: 'module', exports, options: OPTIONS });
  if ((await readFile(join(folder, 'package.json'), 'utf8').catch(() => '')) === description) return;
  await rm(folder, { recursive: true, force: true });
  for (const link of LINKS) {
    await mkdir(dirname(join(folder, link)), { recursive: true });
    await symlink(repository(link), join(folder, link), 'junction');
  }
  await writeFile(join(folder, 'package.json'), description);
}

async function filesIn(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function modulesIn(folder: string): Promise<string[]> {
  const files = await filesIn(repository(folder));
  return files.map((file) => file.slice(repository('').length)).filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'));
}

/** A compiled file has the time of its source. */
async function isFresh(file: string): Promise<boolean> {
  const [source, output] = await Promise.all([stat(repository(file)), stat(built(file)).catch(() => undefined)]);
  return output !== undefined && Math.round(output.mtimeMs) === Math.floor(source.mtimeMs);
}

/** Another run of the tests may read it meanwhile: it is put in place whole. */
async function compile(file: string, transpile: (text: string) => string): Promise<void> {
  const source = repository(file);
  const { mtimeMs } = await stat(source);
  const time = Math.floor(mtimeMs) / 1000;
  const partial = `${built(file)}.${process.pid}`;
  await mkdir(dirname(partial), { recursive: true });
  await writeFile(partial, transpile(await readFile(source, 'utf8')));
  await utimes(partial, time, time);
  await rename(partial, built(file));
}

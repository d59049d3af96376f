import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export interface SiteFile {
  readonly type: string;
  readonly bytes: Uint8Array;
  /** "sha256-…", as in the attribute `integrity`. */
  readonly integrity: string;
}

const HERE = fileURLToPath(new URL('.', import.meta.url));
const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const MODEL = 'models/tinystories-9m.gguf';
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.svg': 'image/svg+xml',
  '.webmanifest': 'application/manifest+json', '.gguf': 'application/octet-stream',
};
/** Where the page finds the library: browsers know no names of packages, so they become addresses. */
const LIBRARY: Record<string, string> = { 'matmulfree/worker': '../matmulfree/worker/index.js' };

/**
 * All files of the page, by path: TypeScript one to one as JavaScript, and what the page uses of the library, in the folder `matmulfree`.
 * Put in a folder of any web server, they are the page.
 * @param variant goes into the version: how the files are served.
 */
export function buildSite(variant = ''): Map<string, SiteFile> {
  const site = new Map<string, SiteFile>();
  const add = (path: string, content: string | Uint8Array): void => {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    site.set(path, { type: TYPES[posix.extname(path)]!, bytes, integrity: integrityOf(bytes) });
  };
  for (const path of ['index.html', 'icon.svg', 'manifest.webmanifest', ...filesIn('style')]) add(path, readFileSync(join(HERE, path)));
  for (const path of filesIn('app')) add(path.replace(/\.ts$/, '.js'), forBrowsers(join(HERE, path)));
  addLibrary([...site.keys()], (path) => new TextDecoder().decode(site.get(path)!.bytes), add);
  site.set('', site.get('index.html')!);
  const kept = [...site].map(([path, { integrity }]) => [path, integrity] as const);
  const version = createHash('sha256').update(JSON.stringify([kept, variant])).digest('hex').slice(0, 16);
  add('service-worker.js', `const VERSION = ${JSON.stringify(version)};\nconst FILES = ${JSON.stringify(kept)};\n${forBrowsers(join(HERE, 'service-worker.ts'))}`);
  add(MODEL, readFileSync(join(REPOSITORY, 'examples', MODEL)));
  return site;
}

/** The Content-Security-Policy of index.html, for the headers of all files: workers have none of their page's. */
export function policyOf(site: ReadonlyMap<string, SiteFile>): string {
  const html = new TextDecoder().decode(site.get('index.html')!.bytes);
  return /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html)![1]!;
}

/** Modules of the library that are reached from the page's, and from those: also what is imported later, and the programs of workers. */
function addLibrary(page: readonly string[], textOf: (path: string) => string, add: (path: string, content: string) => void): void {
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    const text = forBrowsers(join(REPOSITORY, 'src', path.replace(/^matmulfree\//, '').replace(/\.js$/, '.ts')));
    add(path, text);
    follow(path, text);
  };
  const follow = (path: string, text: string): void => {
    for (const target of importsOf(path, text)) if (target.startsWith('matmulfree/')) visit(target);
  };
  for (const path of page.filter((name) => name.endsWith('.js'))) follow(path, textOf(path));
}

/** Paths of the modules that a module names: in imports, and as the place of a worker's program. */
function importsOf(path: string, text: string): string[] {
  const names = [...text.matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']+\.js)'|new URL\('(\.[^']+\.js)', import\.meta\.url\)/g)];
  return names.map((name) => posix.join(posix.dirname(path), (name[1] ?? name[2])!));
}

function forBrowsers(file: string): string {
  const { outputText } = ts.transpileModule(readFileSync(file, 'utf8'), {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022, verbatimModuleSyntax: true, removeComments: false },
  });
  return outputText.replace(/from '(matmulfree[^']*)'/g, (_, name: string) => `from '${LIBRARY[name]!}'`);
}

function filesIn(folder: string): string[] {
  return readdirSync(join(HERE, folder)).sort().map((name) => `${folder}/${name}`);
}

function integrityOf(bytes: Uint8Array): string {
  return `sha256-${createHash('sha256').update(bytes).digest('base64')}`;
}

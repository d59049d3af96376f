import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

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
/** A TypeScript module, by the path of its file, as a JavaScript module. */
export type Compile = (file: string) => string;

/** Where the page finds the library: browsers know no names of packages, so they become addresses. */
const LIBRARY: Record<string, string> = { 'matmulfree/worker': '../matmulfree/worker/index.js' };

/**
 * All files of the page, by path: TypeScript one to one as JavaScript, and what the page uses of the library, in the folder `matmulfree`.
 * Put in a folder of any web server, they are the page.
 * @param variant goes into the version: how the files are served. @param compile with TypeScript's own compiler, without this.
 */
export async function buildSite(variant = '', compile?: Compile): Promise<Map<string, SiteFile>> {
  compile ??= await transpiler();
  const forBrowsers = (file: string): string => compile(file).replace(/from '(matmulfree[^']*)'/g, (_, name: string) => `from '${LIBRARY[name]!}'`);
  const site = new Map<string, SiteFile>();
  const add = (path: string, content: string | Uint8Array): void => {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    site.set(path, { type: TYPES[posix.extname(path)]!, bytes, integrity: integrityOf(bytes) });
  };
  for (const path of ['index.html', 'icon.svg', 'manifest.webmanifest', ...filesIn('style')]) add(path, readFileSync(join(HERE, path)));
  for (const path of filesIn('app')) add(path.replace(/\.ts$/, '.js'), forBrowsers(join(HERE, path)));
  // Of the library, the modules that are reached from the page's, and from those: also what is imported later, and the programs of workers.
  const modules = [...site.keys()].filter((path) => path.endsWith('.js'));
  for (const path of modules) {
    for (const target of importsOf(path, new TextDecoder().decode(site.get(path)!.bytes))) {
      if (!target.startsWith('matmulfree/') || site.has(target)) continue;
      add(target, forBrowsers(join(REPOSITORY, target.replace(/^matmulfree/, 'src').replace(/\.js$/, '.ts'))));
      modules.push(target);
    }
  }
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

/** Paths of the modules that a module names: in imports, and as the place of a worker's program. */
function importsOf(path: string, text: string): string[] {
  const names = [...text.matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']+\.js)'|new URL\('(\.[^']+\.js)', import\.meta\.url\)/g)];
  return names.map((name) => posix.join(posix.dirname(path), (name[1] ?? name[2])!));
}

async function transpiler(): Promise<Compile> {
  const { default: ts } = await import('typescript');
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022, verbatimModuleSyntax: true };
  return (file) => ts.transpileModule(readFileSync(file, 'utf8'), { compilerOptions }).outputText;
}

function filesIn(folder: string): string[] {
  return readdirSync(join(HERE, folder)).sort().map((name) => `${folder}/${name}`);
}

function integrityOf(bytes: Uint8Array): string {
  return `sha256-${createHash('sha256').update(bytes).digest('base64')}`;
}

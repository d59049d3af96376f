import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repository } from './support/files.js';

/** What we use of Rolldown, which Vite, and so vitest, brings along. */
interface Rolldown {
  rolldown(options: object): Promise<{ generate(options: object): Promise<{ output: readonly Chunk[] }>; close(): Promise<void> }>;
}

interface Chunk {
  readonly fileName: string;
  readonly code: string;
  readonly facadeModuleId: string | null;
  readonly imports: readonly string[];
  readonly modules: Record<string, { readonly renderedLength: number }>;
}

const ROLLDOWN = repository('node_modules/rolldown/dist/index.mjs');
const NONE = existsSync(ROLLDOWN) ? '' : ' (skipped: rolldown is not here)';

/** In KB. They may go down; what is not always used has a module of its own, which loads when it is. */
const LIMITS = { page: 40, withWasm: 56.5, withDot: 59, remote: 5 };

describe.skipIf(NONE)(`a bundle, minified and gzipped,${NONE}`, () => {
  let folder: string;
  const bundles = new Map<string, readonly Chunk[]>();
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'matmulfree-bundle-'));
    const { rolldown } = (await import(ROLLDOWN)) as Rolldown;
    const pages = {
      page: `import { MatMulFreeLM } from '${repository('src/index.ts')}'; globalThis.load = (file) => MatMulFreeLM.load(file);`,
      remote: `import { MatMulFreeWorker } from '${repository('src/worker/index.ts')}'; globalThis.load = (file) => MatMulFreeWorker.load(file);`,
      program: `import '${repository('src/worker/program.ts')}';`,
    };
    for (const [name, text] of Object.entries(pages)) {
      const input = join(folder, `${name}.ts`);
      await writeFile(input, text);
      // Sources, unlike the built package, have no list of files with side effects: the programs of workers.
      const build = await rolldown({
        input, platform: 'browser', logLevel: 'silent', resolve: { extensionAlias: { '.js': ['.ts', '.js'] } },
        treeshake: { moduleSideEffects: (id: string) => id.startsWith(folder) || /program\.ts$|kernel-thread\.ts$/.test(id) },
      });
      bundles.set(name, (await build.generate({ format: 'esm', minify: true })).output);
      await build.close();
    }
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** The chunks that a page fetches for these modules; what they import dynamically comes later. */
  function chunks(bundle: string, ...modules: string[]): Chunk[] {
    const output = bundles.get(bundle)!;
    const found = new Set<Chunk>();
    const visit = (chunk: Chunk): void => {
      if (found.has(chunk)) return;
      found.add(chunk);
      for (const name of chunk.imports) visit(output.find(({ fileName }) => fileName === name)!);
    };
    for (const module of [`/${bundle}.ts`, ...modules]) {
      const entry = output.find(({ facadeModuleId }) => facadeModuleId?.endsWith(module));
      expect(entry, module).toBeDefined();
      visit(entry!);
    }
    return [...found];
  }

  /** As one file: how code is cut into chunks, which costs up to a tenth, is the bundler's affair. */
  function kilobytes(...args: Parameters<typeof chunks>): number {
    return gzipSync(chunks(...args).map(({ code }) => code).join(''), { level: 9 }).length / 1024;
  }

  it('has a size', () => {
    const backend = ['kernels/wasm/create.ts', 'kernels/wasm/threads.ts'];
    // A page loads one of these two.
    const wasm = [...backend, 'kernels/wasm/lookup-products.ts'];
    const dot = [...backend, 'kernels/wasm/dot-products.ts'];
    const page = kilobytes('page');
    const withWasm = kilobytes('page', ...wasm);
    const withDot = kilobytes('page', ...dot);
    const remote = kilobytes('remote');
    const sizes: [number, string][] = [
      [page, 'a page that generates from a file, in plain JavaScript'], [withWasm, 'the same with the WebAssembly backend and threads'],
      [withDot, 'the same where dot products are the fastest'],
      [kilobytes('page', ...wasm, 'sources/hub/remote.ts'), 'and with downloads'],
      [remote, 'a page that generates by matmulfree/worker'],
      [kilobytes('program', ...wasm, 'sources/hub/remote.ts'), 'its worker, with the WebAssembly backend and downloads'],
    ];
    console.log(sizes.map(([size, what]) => `${size.toFixed(1)} KB: ${what}`).join('\n'));
    expect(page).toBeLessThanOrEqual(LIMITS.page);
    expect(withWasm).toBeLessThanOrEqual(LIMITS.withWasm);
    expect(withDot).toBeLessThanOrEqual(LIMITS.withDot);
    expect(remote).toBeLessThanOrEqual(LIMITS.remote);
  });

  it('holds nothing that only some models need, and nothing of Node', () => {
    const modules = chunks('page').flatMap((chunk) => Object.entries(chunk.modules).filter(([, { renderedLength }]) => renderedLength > 0).map(([id]) => id));
    expect(modules.length).toBeGreaterThan(40);
    expect(modules.filter((id) => /\/(hub|cli|convert|wasm|worker)\/|safetensors|pre-tokenizer|tokenizer\/regex|torch|pickle|zip|disk|inspect|(gguf|safetensors)-writer/.test(id))).toEqual([]);
    for (const [name, output] of bundles) {
      const outside = output.flatMap(({ imports }) => imports).filter((file) => !output.some(({ fileName }) => fileName === file));
      expect(outside, name).toEqual([]); // a `node:` module would be left outside
    }
  });
});

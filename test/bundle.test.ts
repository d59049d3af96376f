import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { esbuild, NO_ESBUILD } from './support/bundlers.js';
import { repository } from './support/files.js';

interface Output {
  readonly entryPoint?: string;
  readonly imports: readonly { readonly path: string; readonly kind: string }[];
  readonly inputs: Record<string, { readonly bytesInOutput: number }>;
}

/** In KB. They may go down; what is not always used has a module of its own that loads later. */
const LIMITS = { page: 47, withWasm: 62, remote: 5 };

describe.skipIf(NO_ESBUILD)(`a bundle of a page that generates, minified and gzipped${NO_ESBUILD}`, () => {
  let folder: string;
  let outputs: Record<string, Output>;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'matmulfree-bundle-'));
    await writeFile(join(folder, 'page.ts'), `import { MatMulFreeLM } from '${repository('src/index.ts')}'; globalThis.load = (file) => MatMulFreeLM.load(file);`);
    await writeFile(join(folder, 'remote.ts'), `import { MatMulFreeWorker } from '${repository('src/worker/index.ts')}'; globalThis.load = (url) => MatMulFreeWorker.load(url);`);
    outputs = {};
    for (const [name, entry] of [['page', 'page.ts'], ['remote', 'remote.ts'], ['program', repository('src/worker/program.ts')]] as const) {
      await esbuild(folder, entry, `--outdir=${name}`, `--metafile=${name}.json`);
      Object.assign(outputs, (JSON.parse(await readFile(join(folder, `${name}.json`), 'utf8')) as { outputs: Record<string, Output> }).outputs);
    }
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** The chunks that a page fetches for these modules of a bundle, dynamic imports left out. */
  function chunks(bundle: string, modules: readonly string[]): string[] {
    const found = new Set<string>();
    const visit = (path: string): void => {
      if (found.has(path)) return;
      found.add(path);
      for (const { path: next, kind } of outputs[path]!.imports) if (kind !== 'dynamic-import') visit(next);
    };
    for (const module of modules) {
      const entry = Object.keys(outputs).find((path) => path.startsWith(`${bundle}/`) && outputs[path]!.entryPoint?.endsWith(module));
      expect(entry, module).toBeDefined();
      visit(entry!);
    }
    return [...found];
  }

  /** As one file: how code is cut into chunks, which costs up to a tenth, is the bundler's affair. */
  async function kilobytes(bundle: string, ...modules: string[]): Promise<number> {
    const texts = await Promise.all(chunks(bundle, modules).map((path) => readFile(join(folder, path))));
    return gzipSync(Buffer.concat(texts), { level: 9 }).length / 1024;
  }

  it('has a size', async () => {
    const wasm = ['kernels/wasm/probe.ts', 'kernels/wasm/wasm.ts'];
    const page = await kilobytes('page', 'page.ts');
    const withWasm = await kilobytes('page', 'page.ts', ...wasm);
    const remote = await kilobytes('remote', 'remote.ts');
    console.log([
      [page, 'a page that generates from a file, in plain JavaScript'], [withWasm, 'the same with the WebAssembly backend'],
      [await kilobytes('page', 'page.ts', ...wasm, 'hub/remote.ts'), 'and with downloads'],
      [remote, 'a page that generates by matmulfree/worker'],
      [await kilobytes('program', 'worker/program.ts', ...wasm, 'hub/remote.ts'), 'its worker, with the WebAssembly backend and downloads'],
    ].map(([size, what]) => `${Number(size).toFixed(1)} KB: ${what}`).join('\n'));
    expect(page).toBeLessThanOrEqual(LIMITS.page);
    expect(withWasm).toBeLessThanOrEqual(LIMITS.withWasm);
    expect(remote).toBeLessThanOrEqual(LIMITS.remote);
  });

  it('holds nothing that only some models need', () => {
    const inputs = chunks('page', ['page.ts']).flatMap((path) => Object.entries(outputs[path]!.inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([input]) => input));
    expect(inputs.length).toBeGreaterThan(40);
    expect(inputs.filter((input) => /\/(hub|cli|convert|wasm|worker)\/|safetensors|torch|pickle|zip|disk|inspect|writer/.test(input))).toEqual([]);
  });
});

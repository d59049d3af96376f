import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { built } from './support/build.js';
import { repository } from './support/files.js';
import { installPackage, type Packed } from './support/packed.js';

const run = promisify(execFile);

interface PackageJson {
  readonly main: string;
  readonly types: string;
  readonly exports: unknown;
  readonly bin: unknown;
}

describe('the packed package, installed', () => {
  let packed: Packed;
  beforeAll(async () => {
    packed = await installPackage();
  }, 120_000);
  afterAll(() => packed?.remove());

  it('is small, and has what it needs and nothing else', () => {
    const { packedBytes, unpackedBytes, files } = packed;
    console.log(`the package: ${(packedBytes / 1e6).toFixed(2)} MB packed, ${(unpackedBytes / 1e6).toFixed(2)} MB installed`);
    expect(unpackedBytes).toBeLessThan(7e6);
    for (const file of ['README.md', 'LICENSE', 'CHANGELOG.md', 'examples/models/tinystories-9m.gguf']) expect(files).toContain(file);
    for (const file of files.filter((name) => !/^[A-Z]+(\.md)?$|^package\.json$/.test(name))) expect(file).toMatch(/^dist\/.*\.(js|d\.ts)$|^examples\/models\//);
  });

  it('is what the tests run in processes and pages of their own', async () => {
    for (const name of (await readdir(repository('src'), { recursive: true })).filter((path) => path.endsWith('.ts'))) {
      const file = `src/${name}`;
      const shipped = join(packed.installed, 'dist', file.slice('src/'.length).replace(/\.ts$/, '.js'));
      expect(await readFile(shipped, 'utf8'), file).toBe(await readFile(built(file), 'utf8'));
    }
  });

  it('has every file that package.json names', async () => {
    const { exports, bin } = JSON.parse(await readFile(join(packed.installed, 'package.json'), 'utf8')) as PackageJson;
    const named = JSON.stringify([exports, bin]).match(/"(\.\/)?(dist|examples|package)[^"]*"/g)!.map((text) => (JSON.parse(text) as string).replace(/^\.\//, ''));
    expect(named.length).toBeGreaterThan(8);
    for (const file of named) expect(packed.files).toContain(file);
  });

  it('imports as ESM by name, does nothing while importing, and runs', async () => {
    await writeFile(join(packed.folder, 'use.mjs'), `
      const before = Object.keys(globalThis).length;
      const { MatMulFreeLM } = await import('matmulfree');
      await import('matmulfree/worker');
      const { createHandler } = await import('matmulfree/server');
      if (Object.keys(globalThis).length !== before) throw new Error('globals changed');
      const lm = await MatMulFreeLM.load(import.meta.resolve('matmulfree/models/tinystories-9m.gguf'));
      let text = '';
      for await (const piece of lm.generate('The dragon', { maxNewTokens: 10, seed: 1 })) text += piece;
      const response = await createHandler(lm)(new Request('http://localhost/v1/models'));
      console.log(JSON.stringify([lm.backend, text.length > 10, (await response.json()).data[0].id]));
    `);
    const { stdout, stderr } = await run(process.execPath, [join(packed.folder, 'use.mjs')]);
    expect(stdout).toMatch(/^\["(simd|relaxed)",true,"matmulfree"\]\n$/);
    expect(stderr).toBe('');
  });

  it('runs in a worker thread of Node, which does not keep the process alive', async () => {
    await writeFile(join(packed.folder, 'worker.mjs'), `
      import { MatMulFreeLM } from 'matmulfree';
      import { MatMulFreeWorker, FormatError } from 'matmulfree/worker';
      const source = import.meta.resolve('matmulfree/models/tinystories-9m.gguf');
      const texts = [];
      for (const { load } of [MatMulFreeLM, MatMulFreeWorker]) {
        const lm = await load(source, { threads: 2 });
        let text = '';
        for await (const piece of lm.generate('The dragon', { maxNewTokens: 50, seed: 1, temperature: 1 })) text += piece;
        texts.push(text, lm.threads);
      }
      const error = await MatMulFreeWorker.load(new Uint8Array([71, 71, 85, 70])).catch((e) => e);
      console.log(JSON.stringify([texts[0] === texts[2], texts[1], texts[3], error instanceof FormatError]));
    `);
    const { stdout, stderr } = await run(process.execPath, [join(packed.folder, 'worker.mjs')], { timeout: 30_000 });
    expect([stdout, stderr]).toEqual(['[true,2,2,true]\n', '']);
  });

  it('has a command', async () => {
    const bin = join(packed.folder, 'node_modules/.bin/matmulfree');
    const { stdout } = await run(bin, ['generate', 'A cat', '-n', '5', '--seed', '1', '--quiet']);
    expect(stdout).toMatch(/^A cat .+\n$/);
  });

  it('type-checks, declarations and all, for strict users of each kind', async () => {
    // With nothing but the language: neither DOM nor Node.
    const plain = `
      import { MatMulFreeLM, type GenerateResult } from 'matmulfree';
      import { MatMulFreeWorker, type WorkerState } from 'matmulfree/worker';
      import { createHandler, type Handler } from 'matmulfree/server';
      const lm = await MatMulFreeLM.load({ 'model.gguf': new Uint8Array(4) }, { backend: 'auto', threads: undefined });
      const logits: Float32Array = lm.forward([1, 2], lm.createState());
      const pieces: AsyncGenerator<string, GenerateResult> = lm.generate('x', { temperature: 0.5, stop: ['.'], topK: undefined });
      // @ts-expect-error: options are typed
      lm.generate('x', { temprature: 0.5 });
      const remote = await MatMulFreeWorker.load(new Uint8Array(4), { onProgress: ({ loaded, total }) => loaded / total, transfer: true });
      const state: WorkerState = await remote.createState();
      for await (const piece of remote.generate('x', { state, seed: undefined })) piece.toUpperCase();
      const { perplexity } = await remote.score([1, 2, 3]);
      // @ts-expect-error: a state of the page is none of the worker
      remote.generate('x', { state: lm.createState() });
      const handler: Handler = createHandler(lm, { apiKey: ['k'], cors: true, modelName: undefined });
      export { handler, logits, pieces, perplexity };
    `;
    const signals = 'const controller = new AbortController(); lm.generate("x", { signal: controller.signal });';
    const page = `${plain} ${signals} await MatMulFreeLM.load(new Blob([])); await MatMulFreeWorker.load(new URL('x', 'y:'), { worker: new Worker('') });`;
    const node = `${plain} ${signals} await MatMulFreeLM.load(new Blob([])); await MatMulFreeLM.load(process.argv[2]!);
      // @ts-expect-error: a number is no model
      await MatMulFreeLM.load(5);`;
    const bundler = { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler };
    const node16 = { module: ts.ModuleKind.Node16, moduleResolution: ts.ModuleResolutionKind.Node16 };
    const exact = { exactOptionalPropertyTypes: true };
    const users: [string, string, ts.CompilerOptions][] = [
      ['bundler, DOM', page, { ...bundler, lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'] }],
      ['node16, DOM, exact optional properties', page, { ...node16, ...exact, lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'] }],
      ['node16, neither DOM nor Node', plain, { ...node16, lib: ['lib.es2022.d.ts'] }],
      ['bundler, ES2020 alone, exact optional properties', plain, { ...bundler, ...exact, lib: ['lib.es2020.d.ts'] }],
      ['node16, Node, exact optional properties', node, { ...node16, ...exact, lib: ['lib.es2022.d.ts'], types: ['node'], typeRoots: [repository('node_modules/@types')] }],
    ];
    const file = join(packed.folder, 'use.ts');
    const libraries = new Map<string, ts.SourceFile | undefined>(); // parsed once
    for (const [name, text, options] of users) {
      await writeFile(file, text);
      const all: ts.CompilerOptions = { strict: true, noEmit: true, target: ts.ScriptTarget.ES2022, types: [], skipLibCheck: false, skipDefaultLibCheck: true, ...options };
      const host = ts.createCompilerHost(all);
      const { getSourceFile } = host;
      host.getSourceFile = (path, ...rest) => {
        if (!/typescript\/lib\/lib\./.test(path)) return getSourceFile(path, ...rest);
        if (!libraries.has(path)) libraries.set(path, getSourceFile(path, ...rest));
        return libraries.get(path);
      };
      const program = ts.createProgram([file], all, host);
      // Of all files that a user's tsc would check, those that are ours, or the user's own.
      const ours = program.getSourceFiles().filter(({ fileName }) => fileName.startsWith(packed.folder));
      expect(ours.length).toBeGreaterThan(50);
      const found = [...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics(), ...ours.flatMap((each) => [...program.getSyntacticDiagnostics(each), ...program.getSemanticDiagnostics(each)])];
      expect(ts.formatDiagnostics(found, { getCanonicalFileName: (path) => path, getCurrentDirectory: () => packed.folder, getNewLine: () => '\n' }), name).toBe('');
    }
  }, 60_000);

  it('is found by tools that know main alone', async () => {
    const { main, types } = JSON.parse(await readFile(join(packed.installed, 'package.json'), 'utf8')) as PackageJson;
    for (const path of [main, types]) expect(packed.files).toContain(path.replace(/^\.\//, ''));
    const { MatMulFreeLM } = (await import(join(packed.installed, main))) as { MatMulFreeLM: unknown };
    expect(typeof MatMulFreeLM).toBe('function');
  });
});

import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { esbuild, NO_ESBUILD, NO_VITE, vite } from '../support/bundlers.js';
import { EMBEDDED } from '../support/files.js';
import { installPackage, type Packed } from '../support/packed.js';
import { startBrowser, type Browser } from './browser.js';
import { NO_BROWSER } from './chromium.js';
import { STRICT } from './policies.js';

/** A page's script. `worker`: what makes the worker, for bundlers that do not know it. */
const app = (library: string, worker = ''): string => `
  import { MatMulFreeLM } from '${library}';
  import { MatMulFreeWorker } from '${library}/worker${library === 'matmulfree' ? '' : '/index.js'}';
  globalThis.run = async (model) => {
    const found = {};
    for (const [name, { load }] of Object.entries({ page: MatMulFreeLM, worker: MatMulFreeWorker })) {
      const lm = await load(model, { threads: 3, ...(name === 'worker' ? { ${worker} } : {}) });
      let text = '';
      for await (const piece of lm.generate('The dragon', { temperature: 0.8, seed: 7, maxNewTokens: 60 })) text += piece;
      found[name] = { text, backend: lm.backend, threads: lm.threads };
      lm.dispose();
    }
    return found;
  };`;

describe.skipIf(NO_BROWSER)(`the installed package in a browser${NO_BROWSER}`, () => {
  let browser: Browser;
  let packed: Packed;
  let right: unknown;
  beforeAll(async () => {
    [browser, packed] = await Promise.all([startBrowser(), installPackage({ untyped: true })]);
    browser.server.folders.set('/project/', packed.folder);
    const lm = await MatMulFreeLM.load(EMBEDDED);
    let text = '';
    for await (const piece of lm.generate('The dragon', { temperature: 0.8, seed: 7, maxNewTokens: 60 })) text += piece;
    right = { text, backend: expect.stringMatching(/^(relaxed|dot)$/) as string, threads: 3 };
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await packed?.remove();
  });

  /** Runs a script of the project, as the page sees it. */
  async function expectToRun(script: string, csp?: string): Promise<void> {
    // Every page is a folder of the server's; scripts are asked for by relative paths, as are all that they import.
    const [path, model] = [`../../../project/${script}`, 'project/node_modules/matmulfree/examples/models/tinystories-9m.gguf'];
    const place = { isolated: true, csp };
    const url = browser.server.folderFor(place);
    expect(await browser.run('bundled', { script: path, model: url + model }, place)).toEqual({ page: right, worker: right });
  }

  it('by path, without a bundler', async () => {
    await writeFile(join(packed.folder, 'app.js'), app('./node_modules/matmulfree/dist').replace("'./node_modules/matmulfree/dist'", "'./node_modules/matmulfree/dist/index.js'"));
    await expectToRun('app.js', STRICT);
  });

  it.skipIf(NO_VITE)(`bundled by Vite, which finds the workers by itself${NO_VITE}`, async () => {
    const folder = join(packed.folder, 'vite');
    await mkdir(folder);
    await writeFile(join(folder, 'app.js'), app('matmulfree'));
    await writeFile(join(folder, 'index.html'), '<script type="module" src="./app.js"></script>');
    await writeFile(join(folder, 'vite.config.js'), "export default { worker: { format: 'es' }, build: { modulePreload: false } };");
    await vite(folder);
    const assets = await readdir(join(folder, 'dist/assets'));
    expect(assets.filter((name) => /^(program|kernel-thread)-/.test(name)).length).toBeGreaterThanOrEqual(2);
    await expectToRun(`vite/dist/assets/${assets.find((name) => name.startsWith('index-'))}`, STRICT);
  });

  it.skipIf(NO_ESBUILD)(`bundled by esbuild, with a worker that the page makes${NO_ESBUILD}`, async () => {
    const folder = join(packed.folder, 'esbuild');
    await mkdir(folder);
    await writeFile(join(folder, 'app.js'), app('matmulfree', "worker: new Worker(new URL('./program.js', import.meta.url), { type: 'module' })"));
    await writeFile(join(folder, 'program.js'), "import 'matmulfree/worker/program';");
    await esbuild(folder, 'app.js', 'program.js', '--outdir=dist');
    await expectToRun('esbuild/dist/app.js');
    // For a strict policy, the threads' program is wanted beside the bundle, too.
    await cp(join(packed.installed, 'dist/kernels/wasm/kernel-thread.js'), join(folder, 'dist/kernel-thread.js'));
    await expectToRun('esbuild/dist/app.js', STRICT);
  });
});

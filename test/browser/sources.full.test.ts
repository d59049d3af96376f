import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { randomTensors, TINY } from '../support/checkpoints.js';
import { gguf, modelMetadata, modelTensors } from '../support/gguf-files.js';
import { BROWSERS, type Browser, type Place } from './browser.js';
import type addresses from './pages/addresses.js';

const FOLDER = 'test/fixtures/models/f16-bin';

for (const { name, missing, start } of BROWSERS) describe.skipIf(missing)(`where models come from in ${name}${missing}`, () => {
  let browser: Browser;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'matmulfree-site-'));
    await writeFile(join(folder, 'm.gguf'), gguf({ metadata: modelMetadata(TINY), tensors: modelTensors(randomTensors(TINY, 1)) }));
    browser = await start();
    browser.server.folders.set('/models/', folder);
  });
  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true });
  });
  const run = (paths: readonly string[], fetched: string, place: Place = {}): ReturnType<typeof addresses> =>
    browser.run('addresses', { paths, fetched }, { isolated: true, ...place });

  it.each([['a page', false, ''], ['a worker', true, '../../../']])('%s: paths are told from its own address', async (_what, inWorker, root) => {
    const url = browser.server.folderFor({}); // not that of the page that runs
    const top = new URL(url).pathname;
    const models = [`./${root}models/m.gguf`, `${root}models/m.gguf`, `${top}models/m.gguf`, `${url}models/m.gguf`];
    const found = await run([...models, `${root}${FOLDER}`, `./${root}no/such.gguf`], `${top}models/m.gguf`, { inWorker });
    expect(found).toEqual({
      ...Object.fromEntries(models.map((path) => [path, 12])), [`${models[0]!}, in a worker`]: 12, [`${root}${FOLDER}`]: 64,
      'a Response': 12, 'a Response, in a worker': 12, 'shared memory': 12,
      [`./${root}no/such.gguf`]: expect.stringMatching(/^SourceError: http:\/\/127\.0\.0\.1:\d+\/\d+\/no\/such\.gguf: there is no such file/) as string,
    });
  });

  it('a part of the library that cannot be loaded: an error that says so, and to reload', async () => {
    const found = await run(['models/m.gguf'], 'models/m.gguf', { missing: '/src/sources/location.js' });
    expect(found['models/m.gguf']).toMatch(/^MatMulFreeError: a part of matmulfree cannot be loaded \(TypeError: .*\); reload the page, or restart the program$/);
  });
});

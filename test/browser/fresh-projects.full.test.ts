import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { esbuild, NO_ESBUILD } from '../support/bundlers.js';
import { EMBEDDED } from '../support/files.js';
import { projectOrSkip } from '../support/fresh-project.js';
import { installPackage, type Packed } from '../support/packed.js';
import { startSite } from '../support/servers.js';
import { NO_BROWSER, startChromium, type Chromium } from './chromium.js';
import { drive } from './driver.js';

/*
 * A fresh project for each bundler, set up as the README says: a page that loads the model by relative addresses, on its main thread and in
 * a worker, writes what Node writes. Versions are fixed; what cannot be had is skipped, and says so.
 */

const OPTIONS = { temperature: 0.8, seed: 7, maxNewTokens: 40 };

/** `sources`: an object of sources, as code. What is written with each is in `written`. */
const app = (imports: string, sources: string, worker = ''): string => `
  import { MatMulFreeLM } from 'matmulfree';
  import { MatMulFreeWorker } from 'matmulfree/worker';
  ${imports}
  async function write(lm) {
    let text = '';
    for await (const piece of lm.generate('The dragon', ${JSON.stringify(OPTIONS)})) text += piece;
    lm.dispose();
    return text;
  }
  globalThis.written ??= (async () => {
    const found = {};
    for (const [name, source] of Object.entries({ ${sources} })) {
      found[name + ', page'] = await MatMulFreeLM.load(await source()).then(write, String);
      found[name + ', worker'] = await MatMulFreeWorker.load(await source(), { ${worker} }).then(write, String);
    }
    return found;
  })();
`;

const PAGE = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="app.js"></script>';

describe.skipIf(NO_BROWSER)(`in a fresh project${NO_BROWSER}`, { timeout: 180_000 }, () => {
  let chromium: Chromium;
  let packed: Packed;
  let right: string;
  beforeAll(async () => {
    [chromium, packed] = await Promise.all([startChromium(), installPackage({ untyped: true })]);
    const lm = await MatMulFreeLM.load(EMBEDDED);
    right = '';
    for await (const piece of lm.generate('The dragon', OPTIONS)) right += piece;
  }, 120_000);
  afterAll(async () => {
    await chromium?.close();
    await packed?.remove();
  });

  async function expectToWrite(url: string, count: number): Promise<void> {
    const tab = await chromium.openTab();
    try {
      const page = drive(tab);
      await page.open(url);
      await page.until('globalThis.written');
      const written = await page.evaluate<Record<string, string>>('globalThis.written');
      for (const [source, text] of Object.entries(written)) expect(text, source).toBe(right);
      expect(Object.keys(written)).toHaveLength(2 * count);
    } finally {
      await tab.close();
    }
  }

  async function expectSiteToWrite(folder: string, count: number): Promise<void> {
    const site = await startSite(folder);
    try {
      await expectToWrite(`${site.url}/`, count);
    } finally {
      await site.close();
    }
  }

  it('Vite, built and as it is developed: from ?url, and from its public folder', async (context) => {
    const project = await projectOrSkip(context, packed, 'vite', ['vite@7.3.8'], {
      'index.html': PAGE,
      'app.js': app("import url from './m.gguf?url';", "'?url': () => url, relative: () => './models/public.gguf', absolute: () => '/models/public.gguf', fetched: () => fetch('/models/public.gguf')"),
      'vite.config.js': "export default { worker: { format: 'es' }, optimizeDeps: { exclude: ['matmulfree'] } };",
      'public/robots.txt': '',
    });
    await cp(join(project.folder, 'm.gguf'), join(project.folder, 'public/models/public.gguf'));
    const vite = 'node_modules/vite/bin/vite.js';
    await project.run(process.execPath, vite, 'build');
    await expectSiteToWrite(join(project.folder, 'dist'), 4);
    const { found, close } = await project.start(process.execPath, [vite, '--host', '127.0.0.1', '--port', '0'], (output) => /http:\/\/127\.0\.0\.1:\d+\//.exec(output)?.[0]);
    try {
      await expectToWrite(found, 4);
    } finally {
      close();
    }
  });

  it('webpack: from new URL(…, import.meta.url), and beside the page', async (context) => {
    const project = await projectOrSkip(context, packed, 'webpack', ['webpack@5.113.0'], {
      'app.js': app('', "asset: () => new URL('./m.gguf', import.meta.url), relative: () => './beside.gguf'"),
      'build.js': `
        import webpack from 'webpack';
        webpack({ mode: 'production', entry: './app.js', context: process.cwd(), performance: false }, (error, stats) => {
          if (error || stats.hasErrors()) throw error ?? new Error(stats.toString());
        });
      `,
    });
    await project.run(process.execPath, 'build.js');
    const dist = join(project.folder, 'dist');
    await writeFile(join(dist, 'index.html'), PAGE.replace('type="module" src="app.js"', 'src="main.js"').replace('<script', '<body><script'));
    await cp(join(project.folder, 'm.gguf'), join(dist, 'beside.gguf'));
    await expectSiteToWrite(dist, 2);
  });

  it.skipIf(NO_ESBUILD)(`esbuild: from its file loader, with a worker that the page makes${NO_ESBUILD}`, async (context) => {
    const project = await projectOrSkip(context, packed, 'esbuild', [], {
      'app.js': app("import url from './m.gguf';", "file: () => url, relative: () => 'beside.gguf'", "worker: new Worker(new URL('./program.js', import.meta.url), { type: 'module' })"),
      'program.js': "import 'matmulfree/worker/program';",
    });
    await esbuild(project.folder, 'app.js', 'program.js', '--loader:.gguf=file', '--outdir=dist');
    const dist = join(project.folder, 'dist');
    await writeFile(join(dist, 'index.html'), PAGE);
    await cp(join(project.folder, 'm.gguf'), join(dist, 'beside.gguf'));
    await expectSiteToWrite(dist, 2);
  });

  it('Next.js: in the page from its public folder, and on the server from the disk', async (context) => {
    const project = await projectOrSkip(context, packed, 'next', ['next@16.4.6', 'react@19.2.0', 'react-dom@19.2.0'], {
      'app/layout.js': 'export default function Layout({ children }) { return <html><body>{children}</body></html>; }',
      'app/page.js': `'use client';
        import { useEffect } from 'react';
        export default function Page() {
          useEffect(() => { import('./write.js'); }, []);
          return null;
        }`,
      'app/write.js': app('', "absolute: () => '/public.gguf', relative: () => 'public.gguf'"),
      'app/api/route.js': `
        import { MatMulFreeLM } from 'matmulfree';
        export const dynamic = 'force-dynamic';
        export async function GET() {
          const lm = await MatMulFreeLM.load('public/public.gguf');
          let text = '';
          for await (const piece of lm.generate('The dragon', ${JSON.stringify(OPTIONS)})) text += piece;
          lm.dispose();
          return new Response(text);
        }`,
      'public/robots.txt': '',
    });
    await cp(join(project.folder, 'm.gguf'), join(project.folder, 'public/public.gguf'));
    const next = 'node_modules/next/dist/bin/next';
    await project.run(process.execPath, next, 'build');
    const { found, close } = await project.start(process.execPath, [next, 'start', '-H', '127.0.0.1', '-p', '0'], (output) => (output.includes('Ready') ? /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0] : undefined));
    try {
      expect(await (await fetch(`${found}/api`)).text()).toBe(right);
      await expectToWrite(`${found}/`, 2);
    } finally {
      close();
    }
  });
});

import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serve } from '../../examples/browser/command.js';
import { serveSite, type SiteServer } from '../../examples/browser/server.js';
import { buildSite, type SiteFile } from '../../examples/browser/site.js';
import { compile } from '../support/compile.js';
import { runScript } from '../support/run.js';

/** The version that a service worker's script is of. */
const versionIn = (script: string): string => /VERSION = "(\w+)"/.exec(script)![1]!;

describe('the files of the example page', () => {
  let site: Map<string, SiteFile>;
  beforeAll(async () => {
    site = await buildSite('', compile);
  });
  const text = (path: string): string => new TextDecoder().decode(site.get(path)!.bytes);

  it('import nothing but each other', () => {
    for (const path of site.keys()) {
      if (!path.endsWith('.js')) continue;
      for (const [, name] of text(path).matchAll(/^(?:import|export)\b[^;']*? from '([^']+)'/gm)) {
        expect(name, path).toMatch(/^\.{1,2}\//);
        const target = new URL(name!, `http://x/${path}`).pathname.slice(1);
        expect([...site.keys()], `${path} imports ${name}`).toContain(target);
      }
    }
  });

  it('hold the workers\' programs, what is loaded later, and the model; nothing that only other programs use', () => {
    for (const path of ['matmulfree/worker/program.js', 'matmulfree/kernels/wasm/kernel-thread.js', 'matmulfree/sources/hub/remote.js', 'models/tinystories-9m.gguf']) {
      expect(site.has(path), path).toBe(true);
    }
    expect([...site.keys()].filter((path) => /\/(cli|convert)\//.test(path))).toEqual([]);
  });

  it('have no script in the page, and a policy that allows none', () => {
    expect(text('index.html').match(/<script[^>]*>/g)).toEqual(['<script type="module" src="app/main.js">']);
    expect(text('index.html')).not.toMatch(/ on\w+=|style=|javascript:/);
    expect(text('index.html')).toMatch(/script-src 'self' 'wasm-unsafe-eval';/);
  });

  it('have one version for all, and another one when anything changes', async () => {
    const version = async (variant: string): Promise<string> => versionIn(new TextDecoder().decode((await buildSite(variant, compile)).get('service-worker.js')!.bytes));
    expect(await version('')).toBe(versionIn(text('service-worker.js')));
    expect(await version('isolated')).not.toBe(versionIn(text('service-worker.js')));
    expect(text('service-worker.js')).toContain(JSON.stringify(['app/main.js', site.get('app/main.js')!.integrity]));
  });
});

describe('the server of the example page', () => {
  let isolated: SiteServer;
  let plain: SiteServer;
  beforeAll(async () => {
    [isolated, plain] = await Promise.all([serveSite({ port: 0, isolated: true, compile }), serveSite({ port: 0, isolated: false, compile })]);
  });
  afterAll(() => Promise.all([isolated?.close(), plain?.close()]));

  /** A request whose path is sent as it is. */
  function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }> {
    const { hostname, port } = new URL(isolated.url);
    return new Promise((resolve, reject) => {
      request({ hostname, port, path, headers, method }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) }));
      }).on('error', reject).end();
    });
  }

  it('sends every file with its type and the policy of the page; with the headers of isolation, or without', async () => {
    for (const [path, type] of [
      ['', 'text/html; charset=utf-8'], ['app/main.js', 'text/javascript; charset=utf-8'], ['style/page.css', 'text/css; charset=utf-8'],
      ['icon.svg', 'image/svg+xml'], ['manifest.webmanifest', 'application/manifest+json'], ['models/tinystories-9m.gguf', 'application/octet-stream'],
    ] as const) {
      const [{ headers }, { headers: other }] = (await Promise.all([fetch(isolated.url + path), fetch(plain.url + path)])) as [Response, Response];
      expect([headers.get('content-type'), headers.get('x-content-type-options')]).toEqual([type, 'nosniff']);
      expect(headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; /);
      expect([headers.get('cross-origin-opener-policy'), headers.get('cross-origin-embedder-policy')]).toEqual(['same-origin', 'require-corp']);
      expect([other.get('cross-origin-opener-policy'), other.get('cross-origin-embedder-policy')]).toEqual([null, null]);
    }
  });

  it('sends parts, and nothing when it is still the same', async () => {
    const all = await get('/icon.svg');
    expect(all).toMatchObject({ status: 200, headers: { 'accept-ranges': 'bytes' } });
    const etag = String(all.headers['etag']);
    expect(await get('/icon.svg', { range: 'bytes=5-9' })).toMatchObject({
      status: 206, headers: { 'content-range': `bytes 5-9/${all.body.length}` }, body: all.body.subarray(5, 10),
    });
    expect((await get('/icon.svg', { range: 'bytes=5-' })).body).toEqual(all.body.subarray(5));
    expect((await get('/icon.svg', { range: 'bytes=5-9999999' })).body).toEqual(all.body.subarray(5));
    expect((await get('/icon.svg', { range: 'bytes=5-9', 'if-range': '"other"' })).body).toEqual(all.body);
    expect((await get('/icon.svg', { range: 'bytes=9999999-' })).status).toBe(416);
    expect(await get('/icon.svg', { 'if-none-match': etag })).toMatchObject({ status: 304, body: Buffer.alloc(0) });
    expect(await get('/icon.svg', {}, 'HEAD')).toMatchObject({ status: 200, headers: { 'content-length': String(all.body.length) }, body: Buffer.alloc(0) });
    expect((await get('/?x=1')).status).toBe(200);
  });

  it('has no other files, whatever the path, and takes no other requests', async () => {
    for (const path of [
      '/package.json', '/../package.json', '/app/../../package.json', '/%2e%2e/package.json', '/..%2fpackage.json', '/app/', '/app', '//etc/passwd', '/style/../index.html/',
      '/constructor', '/__proto__', '/%00', '/%', `/${'a'.repeat(9000)}`, '/app/main.ts', '/src/lm.ts',
    ]) {
      expect((await get(path)).status, path).toBe(404);
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) expect((await get('/', {}, method)).status).toBe(405);
    // What is no request at all does not end it.
    await new Promise<void>((resolve) => {
      const { hostname, port } = new URL(isolated.url);
      connect(Number(port), hostname).on('close', () => resolve()).on('error', () => resolve()).end('\x00\x01 nonsense\r\n\r\n').resume();
    });
    expect((await get('/')).status).toBe(200);
  });

  it('is started by npm run web, which compiles the files, and ended by Ctrl-C', async () => {
    let url = '';
    let page = Promise.resolve<[string, string] | []>([]);
    const { code, stdout, stderr } = await runScript('examples/browser/serve.ts', ['--port', '0', '--no-isolation'], (kill, out) => {
      if (url !== '' || !out.includes('Ctrl-C')) return;
      url = /^http:\/\/localhost:\d+\//.exec(out)![0];
      const get = async (path: string): Promise<string> => (await fetch(url + path)).text();
      page = Promise.all([get(''), get('service-worker.js')]).finally(() => kill('SIGINT'));
    });
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/\(not isolated: one thread\)/);
    const [html, script] = await page;
    expect(html).toMatch(/^<!doctype html>/);
    // The plain server of these tests has sent what the tests' own compiler made: it is the same.
    expect(versionIn(script!)).toBe(versionIn(await (await fetch(`${plain.url}service-worker.js`)).text()));
  });

  it('says what is wrong with its options, and when its port is taken', async () => {
    const run = async (...args: string[]): Promise<{ code: number | undefined; stdout: string; stderr: string }> => {
      const said = { stdout: '', stderr: '' };
      const write = (name: keyof typeof said) => ({ write: (text: string) => { said[name] += text; } });
      return { code: await serve(args, { stdout: write('stdout'), stderr: write('stderr') }), ...said };
    };
    const { port } = new URL(isolated.url);
    for (const [args, code, stderr] of [
      [['--port', port], 1, new RegExp(`^Port ${port} is in use; give another one with --port\\.\n$`)], [['--port', '99999'], 2, /--port is 99999, not a number/],
      [['--isolation'], 2, /Unknown option '--isolation'.*npm run web/s],
    ] as const) {
      expect(await run(...args)).toEqual({ code, stdout: '', stderr: expect.stringMatching(stderr) });
    }
    expect(await run('--help')).toEqual({ code: 0, stdout: expect.stringMatching(/--no-isolation/), stderr: '' });
  });
});

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { esbuild, NO_ESBUILD } from '../support/bundlers.js';
import { EMBEDDED } from '../support/files.js';
import { projectOrSkip, type FreshProject } from '../support/fresh-project.js';
import { installPackage, type Packed } from '../support/packed.js';
import { startSite, type TestServer } from '../support/servers.js';

/*
 * A fresh project for each engine that is not a browser, with the package installed as people install it: the same text as in Node.
 * Versions are fixed; what cannot be had is skipped, and says so.
 */

const OPTIONS = { temperature: 0.8, seed: 7, maxNewTokens: 40 };

/** Writes with what each source gives, and tells how, or the error. */
const WRITE = `
async function write(source, options = {}) {
  try {
    const lm = await MatMulFreeLM.load(await source, options);
    let text = '';
    for await (const piece of lm.generate('The dragon', ${JSON.stringify(OPTIONS)})) text += piece;
    lm.dispose();
    return text;
  } catch (error) {
    return error.name + ': ' + error.message;
  }
}`;

let packed: Packed;
let server: TestServer;
let right: string;
beforeAll(async () => {
  packed = await installPackage({ untyped: true });
  server = await startSite(join(packed.installed, 'examples/models'));
  const lm = await MatMulFreeLM.load(EMBEDDED);
  right = '';
  for await (const piece of lm.generate('The dragon', OPTIONS)) right += piece;
}, 120_000);
afterAll(async () => {
  await server?.close();
  await packed?.remove();
});

/** The executable that a package brings for this system, in a package of its own. */
function executable(context: TestContext, { folder }: FreshProject, scope: string, ...names: string[]): string {
  const root = join(folder, 'node_modules', scope);
  const found = (existsSync(root) ? readdirSync(root) : []).flatMap((name) => names.map((file) => join(root, name, file))).find((file) => existsSync(file));
  if (!found) context.skip(`${scope} has no program for this system`);
  return found!;
}

const PROGRAM = `
import { MatMulFreeLM } from 'matmulfree';
import { MatMulFreeWorker } from 'matmulfree/worker';
import { createHandler } from 'matmulfree/server';
${WRITE}
const [url, cache] = process.argv.slice(2);
const inWorker = await MatMulFreeWorker.load('./m.gguf', { threads: 2 });
let text = '';
for await (const piece of inWorker.generate('The dragon', ${JSON.stringify(OPTIONS)})) text += piece;
inWorker.dispose();
const { temperature, seed, maxNewTokens } = ${JSON.stringify(OPTIONS)};
const handler = createHandler(await MatMulFreeLM.load('./m.gguf'));
const listener = globalThis.Deno ? Deno.serve({ port: 0, onListen() {} }, handler) : Bun.serve({ port: 0, fetch: handler });
const served = await fetch('http://127.0.0.1:' + (listener.port ?? listener.addr.port) + '/v1/completions', {
  method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ prompt: 'The dragon', temperature, seed, max_tokens: maxNewTokens, stream: true }),
}).then((response) => response.text());
console.log(JSON.stringify({
  worker: text,
  served: served.split('\\n\\n').filter((event) => event.startsWith('data: {')).map((event) => JSON.parse(event.slice(6)).choices[0].text).join(''),
  path: await write('./m.gguf', { threads: 1 }),
  threads: await write('./m.gguf', { threads: 2 }),
  scalar: await write('./m.gguf', { backend: 'scalar' }),
  resolved: await write(import.meta.resolve('matmulfree/models/tinystories-9m.gguf')),
  url: await write(url, { cache }),
  again: await write(url, { cache }),
  response: await write(fetch(url)),
  nothing: await write('owner/name'),
  away: await write('http://127.0.0.1:4/m.gguf?token=secret'),
}));
process.exit(0);
`;

describe.each([
  { name: 'Bun', packages: ['bun@1.4.5'], scope: '@oven', files: ['bin/bun', 'bin/bun.exe'], args: [] },
  { name: 'Deno', packages: ['deno@2.9.6'], scope: '@deno', files: ['deno', 'deno.exe'], args: ['run', '-A', '--no-prompt'] },
])('$name', { timeout: 180_000 }, ({ name, packages, scope, files, args }) => {
  it('writes what Node writes, from a path, an address, the package, a Response and in a worker', async (context) => {
    const project = await projectOrSkip(context, packed, name, packages, { 'program.mjs': PROGRAM });
    const program = executable(context, project, scope, ...files);
    const cache = join(project.folder, 'cache');
    const { nothing, away, ...texts } = JSON.parse(await project.run(program, ...args, 'program.mjs', `${server.url}/tinystories-9m.gguf`, cache)) as Record<string, string>;
    for (const [source, text] of Object.entries(texts)) expect(text, source).toBe(right);
    expect(nothing).toBe('SourceError: owner/name: no such file or folder; a model on the Hugging Face Hub is written hf:owner/name');
    expect(away).toMatch(/^SourceError: http:\/\/127\.0\.0\.1:4\/m\.gguf: the connection fails: .*, tried 2 times\)$/);
    expect(away).not.toContain('secret');
  });
});

it('Deno, when it may do nothing but what it was given leave for: errors of ours, and no question', { timeout: 180_000 }, async (context) => {
  const project = await projectOrSkip(context, packed, 'deno-asks', ['deno@2.9.6'], {
    'program.mjs': `
      import { listCache, MatMulFreeLM } from 'matmulfree';
      ${WRITE}
      console.log(JSON.stringify([await write('./m.gguf'), await write('${server.url}/tinystories-9m.gguf'), await listCache().catch((e) => e.name)]));
    `,
  });
  const deno = executable(context, project, '@deno', 'deno', 'deno.exe');
  const found = async (...leave: string[]): Promise<unknown> => JSON.parse(await project.run(deno, 'run', '--no-prompt', ...leave, 'program.mjs'));
  expect(await found()).toEqual([expect.stringMatching(/^SourceError: \.\/m\.gguf: .*--allow-read/), expect.stringMatching(/^SourceError: .*--allow-net/), 'SourceError']);
  expect(await found('--allow-net', '--allow-read')).toEqual([right, right, 'SourceError']); // not kept: there is no leave to write
});

const WORKERD = `
import { listCache, MatMulFreeLM } from 'matmulfree';
import bytes from './m.gguf';
${WRITE}
export default {
  async fetch(request) {
    const url = new URL(request.url).searchParams.get('model');
    return Response.json({
      bytes: await write(bytes), url: await write(url), again: await write(url), uncached: await write(url, { cache: false }), response: await write(fetch(url)),
      path: await write('./m.gguf'), list: await listCache().then(() => 'a list', (error) => error.name),
    });
  },
};
`;

/** @param date which of its ways, and Node's modules, workerd has. @param cache what stands behind its Cache API. */
const workerdConfig = (date: string, cache: string): string => `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main), (name = "net", network = (allow = ["public", "private"])), (name = "cache", worker = .cache)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.js"), (name = "./m.gguf", data = embed "m.gguf")],
  compatibilityDate = "${date}", globalOutbound = "net", ${cache === '' ? '' : 'cacheApiOutbound = "cache",'}
);
const cache :Workerd.Worker = (
  modules = [(name = "worker", esModule = "${cache}")],
  compatibilityDate = "${date}",
);
`;
/** One that takes everything and keeps nothing, and one that keeps it. */
const FORGETS = "export default { async fetch(request) { await request.arrayBuffer(); return new Response('', { status: request.method === 'PUT' ? 204 : 504 }); } };";
const KEEPS = "const kept = new Map(); export default { async fetch(request) { const body = await request.arrayBuffer(); "
  + "if (request.method === 'PUT') { const raw = new TextDecoder('latin1').decode(body); kept.set(request.url, body.slice(raw.indexOf('\\\\r\\\\n\\\\r\\\\n') + 4)); return new Response(null, { status: 204 }); } "
  + "return kept.has(request.url) ? new Response(kept.get(request.url), { headers: { 'CF-Cache-Status': 'HIT' } }) : new Response('', { status: 504 }); } };";

it.skipIf(NO_ESBUILD)(`workerd: from bytes, an address and a Response, whatever its Cache API is worth${NO_ESBUILD}`, { timeout: 180_000 }, async (context) => {
  const project = await projectOrSkip(context, packed, 'workerd', ['workerd@1.20261117.1'], {
    'app.js': WORKERD,
    'no-cache.capnp': workerdConfig('2024-12-01', ''), 'forgets.capnp': workerdConfig('2024-12-01', FORGETS), 'keeps.capnp': workerdConfig('2024-12-01', KEEPS), 'node.capnp': workerdConfig('2026-11-01', ''),
  });
  const workerd = executable(context, project, '@cloudflare', 'bin/workerd', 'bin/workerd.exe');
  await esbuild(project.folder, 'app.js', '--splitting=false', '--outfile=worker.js', '--external:./m.gguf');
  for (const config of ['no-cache', 'forgets', 'keeps', 'node']) {
    const { found: port, close } = await project.start(workerd, ['serve', `${config}.capnp`, '--control-fd=3'], (output) => /"port":\s*(\d+)/.exec(output)?.[1]);
    try {
      const reply = await fetch(`http://127.0.0.1:${port}/?model=${server.url}/tinystories-9m.gguf`);
      const { path, list, ...texts } = (await reply.json()) as Record<string, string>;
      for (const [source, text] of Object.entries(texts)) expect(text, `${config}: ${source}`).toBe(right);
      // With Node's modules, workerd has files: those of the bundle.
      if (config === 'node') expect(path).toBe(right);
      else expect(path).toMatch(/^SourceError: "\.\/m\.gguf": there is no file system here; load an http\(s\) URL/);
      expect(list).toBe(config === 'node' ? 'a list' : 'SourceError'); // it cannot list a Cache
    } finally {
      close();
    }
  }
});

import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { ArgumentError, FormatError, SourceError } from '../../../src/errors.js';
import type { DownloadProgress } from '../../../src/sources/hub/download.js';
import { openRemote } from '../../../src/sources/hub/remote.js';
import { EMBEDDED, fixture } from '../../support/files.js';
import { json, safetensors, tinyCheckpoint, type Files } from '../../support/checkpoints.js';
import { COMMIT, sendFile, startCdn, startFiles, startHub, type HubOptions, type TestServer } from '../../support/servers.js';
import { allFiles, bytesOf, FAST, fetchBytes, readAll, temporaryFolder, use, wholeFiles } from './setup.js';

const TOKEN = 'hf_SecretSecretSecret';
const big = bytesOf(60_000, 21);

let cache: string;
beforeEach(async () => { cache = await temporaryFolder(); });

async function hubWith(files: Files, options: HubOptions = {}): Promise<TestServer> {
  const hub = await use(startHub(files, options));
  vi.stubEnv('HF_ENDPOINT', hub.url);
  return hub;
}

async function shards(): Promise<Files> {
  const names = (await readdir(fixture('models/bf16-sharded'))).filter((name) => !name.startsWith('golden'));
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, new Uint8Array(await readFile(fixture(`models/bf16-sharded/${name}`)))] as const)));
}

function logitsOf(lm: MatMulFreeLM): Float32Array {
  return lm.forward([1, 2, 3], lm.createState());
}

describe('a model on the Hub', () => {
  it('loads, from shards, and gives the logits of the folder; only what it needs is fetched', async () => {
    const files = { ...(await shards()), 'README.md': json('# hi'), 'pytorch_model.bin': big, 'training_args.bin': big, 'onnx/model.safetensors': big };
    const cdn = await use(startCdn(files));
    const hub = await hubWith(files, { cdn });
    const stages: DownloadProgress[] = [];
    const lm = await MatMulFreeLM.load('hf:someone/model', { cache, onProgress: (progress) => stages.push(progress as DownloadProgress) });
    expect(logitsOf(lm)).toEqual(logitsOf(await MatMulFreeLM.load(fixture('models/bf16-sharded'))));
    expect((await wholeFiles(cache)).map((path) => path.replace(/^.*\//, ''))).toEqual(Object.keys(await shards()).sort());
    expect(hub.seen.map(({ path }) => path).join()).not.toMatch(/README|pytorch|training|onnx/);
    for (const file of Object.keys(await shards())) {
      const of = stages.filter((progress) => progress.file === file && progress.stage === 'download');
      const size = files[file as keyof typeof files]!.length;
      expect(of.at(-1), file).toEqual({ stage: 'download', file, loaded: size, total: size });
      expect(of.map(({ loaded }) => loaded), file).toEqual(of.map(({ loaded }) => loaded).sort((a, b) => a - b));
    }
    const requests = hub.seen.length + cdn.seen.length;
    const again = await MatMulFreeLM.load('hf:someone/model', { cache });
    expect(logitsOf(again)).toEqual(logitsOf(lm));
    expect(hub.seen.length + cdn.seen.length - requests).toBe(1); // what the revision stands for
  });

  it('loads a GGUF file, without a cache and with one, by name and by being the only one', async () => {
    const embedded = new Uint8Array(await readFile(EMBEDDED));
    await hubWith({ 'deep/tiny.gguf': embedded, 'config.json': json('{}') });
    for (const [location, place] of [['hf:someone/model', cache], ['hf:someone/model@v1/deep/tiny.gguf', cache], ['hf:someone/model@refs/pr/3', false]] as const) {
      const lm = await MatMulFreeLM.load(location, { cache: place });
      expect(lm.info().parameters).toBe(8_937_984);
    }
    expect(await wholeFiles(cache)).toHaveLength(1); // all revisions stand for one commit
  });

  it('several GGUF files: an error that lists them and tells how to name one', async () => {
    await hubWith({ 'a.gguf': big, 'b/c.gguf': big, 'config.json': json('{}') });
    await expect(MatMulFreeLM.load('hf:someone/model@v1', { cache })).rejects.toThrow(
      'hf:someone/model@v1: holds several GGUF files (a.gguf, b/c.gguf); name one of them, as in hf:someone/model@v1/a.gguf',
    );
    await expect(MatMulFreeLM.load('hf:someone/model/x.gguf', { cache })).rejects.toThrow(/has no file "x\.gguf"; its \.gguf files are a\.gguf, b\/c\.gguf$/);
    expect(await fetchBytes('hf:someone/model/b/c.gguf', 'c.gguf', { cache })).toEqual(big);
  });

  it('a GGUF file in parts is one model, and its parts can be opened', async () => {
    await hubWith({ 'x/m-00001-of-00002.gguf': big, 'x/m-00002-of-00002.gguf': big.subarray(5) });
    const files = await openRemote('hf:someone/model', { cache }, FAST);
    expect(await files.list()).toEqual(['m-00001-of-00002.gguf']);
    expect(await readAll((await files.open('m-00002-of-00002.gguf'))!)).toEqual(big.slice(5));
    expect(await files.open('m-00003-of-00002.gguf')).toBeUndefined();
  });

  it('the weights of a folder win over GGUF files beside them', async () => {
    await hubWith({ ...tinyCheckpoint(), 'a.gguf': big, 'b.gguf': big });
    expect((await MatMulFreeLM.load('hf:someone/model', { cache })).config.hiddenSize).toBe(12);
  });

  it('the address of its page will do', async () => {
    const hub = await hubWith({ ...tinyCheckpoint() });
    expect((await MatMulFreeLM.load(`${hub.url}/someone/model`, { cache })).config.hiddenSize).toBe(12);
    expect((await MatMulFreeLM.load(new URL(`${hub.url}/someone/model/tree/main`), { cache })).config.hiddenSize).toBe(12);
  });

  it('mirrors that list names only', async () => {
    const hub = await hubWith({ 'm.gguf': big }, { bareList: true });
    hub.intercept = (request, response, n) => {
      if (n !== 3) return false;
      sendFile(request, response, big, { cutAfter: 5 });
      return true;
    };
    expect(await fetchBytes('hf:someone/model', 'm.gguf', { cache })).toEqual(big);
    expect(await fetchBytes('hf:someone/model', 'm.gguf', { cache })).toEqual(big);
  });

  it('a checksum that only the replies tell is checked too', async () => {
    const cdn = await use(startCdn({}));
    const hub = await hubWith({ 'm.gguf': big }, { bareList: true, cdn });
    cdn.intercept = (request, response) => {
      sendFile(request, response, bytesOf(60_000, 22));
      return true;
    };
    await expect(fetchBytes('hf:someone/model', 'm.gguf', { cache })).rejects.toThrow(FormatError);
    expect(hub.seen.length).toBeGreaterThan(1);
    expect(await wholeFiles(cache)).toEqual([]);
  });

  it('that is not there', async () => {
    await hubWith({});
    await expect(MatMulFreeLM.load('hf:some/other', { cache })).rejects.toThrow(/^hf:some\/other: is not there \(status 404\)$/);
    await expect(MatMulFreeLM.load('hf:someone/model', { cache })).rejects.toThrow(/holds no model/);
    await expect(MatMulFreeLM.load('hf:nobody', { cache })).rejects.toThrow(ArgumentError);
  });

  it.each([
    ['no JSON', '<html>', /broken JSON/], ['no commit', '{"siblings":[]}', /"sha" is undefined, not a commit/],
    ['a commit that is a path', '{"sha":"../../../x","siblings":[]}', /not a commit/], ['no list', '{"sha":"abcdef0123","siblings":7}', /"siblings" is not a list/],
  ])('a list of files that is %s', async (_what, text, message) => {
    const hub = await hubWith({});
    hub.intercept = (_request, response) => {
      response.writeHead(200).end(text);
      return true;
    };
    const error = await openRemote('hf:someone/model', { cache }, FAST).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toMatch(message);
    expect(await allFiles(cache)).toEqual([]);
  });
});

describe('names that a server gives', () => {
  const evil = ['../evil.json', '/etc/evil.json', '..\\evil.json', 'C:\\evil.json', 'con.json', 'x/../../evil.json', '__proto__', '.lock', 'a\0.json', '.hidden.json', 'evil.py', 'nul/evil.json'];

  it('lead nowhere but into the model\'s folder', async () => {
    const hub = await hubWith({});
    hub.intercept = (request, response) => {
      if (!request.url!.startsWith('/api/')) {
        response.end('evil');
        return true;
      }
      const siblings: unknown[] = [...evil.map((rfilename) => ({ rfilename, size: 4 })), { rfilename: 7 }, null, 'x', { rfilename: 'config.json', size: -1, lfs: { sha256: '../x', size: 1e300 } }];
      response.end(`{"sha":"${COMMIT}","__proto__":{"files":["x"]},"siblings":${JSON.stringify(siblings)}}`);
      return true;
    };
    const files = await openRemote('hf:someone/model', { cache }, FAST);
    expect(await files.list()).toEqual(['config.json']);
    for (const name of [...evil, 'evil.json', 'constructor', 'toString']) expect(await files.open(name), name).toBeUndefined();
    expect(hub.seen).toHaveLength(1);
    await readAll((await files.open('config.json'))!);
    expect(await wholeFiles(cache)).toEqual([expect.stringMatching(new RegExp(`/models--someone--model/${COMMIT}/config\\.json$`))]);
  });

  it('are one where some file systems take them for one: that of small letters, or the first', async () => {
    const hub = await hubWith({ 'Config.json': json('no'), 'config.json': json('yes'), 'CONFIG.JSON': json('nor this'), 'B.bin': big, 'b.BIN': big });
    const files = await openRemote('hf:someone/model', { cache }, FAST);
    expect(await files.list()).toEqual(['B.bin', 'config.json']);
    expect(await readAll((await files.open('config.json'))!)).toEqual(json('yes'));
    for (const name of ['Config.json', 'CONFIG.JSON', 'b.BIN']) expect(await files.open(name), name).toBeUndefined();
    expect(hub.seen.filter(({ path }) => path.includes('/resolve/'))).toHaveLength(1);
  });

  it('nor do those in index.json', async () => {
    const tiny = tinyCheckpoint();
    const server = await use(startFiles({ 'm/config.json': tiny['config.json']!, 'm/model.safetensors.index.json': json({ weight_map: { a: '../evil.safetensors' } }), 'evil.safetensors': big }));
    await expect(MatMulFreeLM.load(`${server.url}/m`, { cache })).rejects.toThrow(/"\.\.\/evil\.safetensors", not a plain file name/);
    expect(server.seen.map(({ path }) => path).join()).not.toMatch(/evil/);
  });
});

describe('a token', () => {
  const files = { 'm.gguf': big, 'config.json': json('{}') };

  it('goes to the Hub, and to no host that it redirects to', async () => {
    vi.stubEnv('HF_TOKEN', `${TOKEN}\n`);
    for (const host of ['127.0.0.1', 'localhost']) {
      const cdn = await use(startCdn(files, host));
      const hub = await hubWith(files, { cdn, token: TOKEN });
      expect(await fetchBytes('hf:someone/model', 'm.gguf', { cache: false })).toEqual(big);
      expect(cdn.seen.length).toBeGreaterThan(2);
      expect(new Set(cdn.seen.map(({ authorization }) => authorization))).toEqual(new Set([undefined]));
      expect(new Set(hub.seen.map(({ authorization }) => authorization))).toEqual(new Set([`Bearer ${TOKEN}`]));
    }
  });

  it('nor in a browser, which hides redirects and follows them itself', async () => {
    const cdn = await use(startCdn(files, 'localhost'));
    const hub = await hubWith(files, { cdn, token: TOKEN });
    const real = fetch;
    vi.stubGlobal('fetch', async (url: URL, init: RequestInit) => {
      const reply = await real(url, init);
      if (init.redirect !== 'manual' || reply.status < 300 || reply.status > 399) return reply;
      return { type: 'opaqueredirect', status: 0, headers: new Headers(), body: null };
    });
    try {
      expect(await fetchBytes('hf:someone/model', 'm.gguf', { cache, token: TOKEN })).toEqual(big);
    } finally {
      vi.unstubAllGlobals();
    }
    expect(hub.seen.every(({ authorization }) => authorization === `Bearer ${TOKEN}`)).toBe(true);
    expect(new Set(cdn.seen.map(({ authorization }) => authorization))).toEqual(new Set([undefined]));
  });

  it('does not come back with a redirect that comes back', async () => {
    const hub = await hubWith(files, {});
    const cdn = await use(startCdn({}));
    cdn.intercept = (_request, response) => {
      response.writeHead(307, { location: `${hub.url}/collect` }).end();
      return true;
    };
    hub.intercept = (request, response) => {
      if (request.url === '/collect') sendFile(request, response, big);
      else if (request.url!.includes('/resolve/')) response.writeHead(302, { location: `${cdn.url}/x` }).end();
      else return false;
      return true;
    };
    expect(await fetchBytes('hf:someone/model', 'm.gguf', { cache, token: TOKEN })).toEqual(big);
    for (const { path, authorization } of hub.seen) expect(authorization, path).toBe(path === '/collect' ? undefined : `Bearer ${TOKEN}`);
  });

  it('follows a redirect on the same host', async () => {
    const hub = await hubWith(files, { token: TOKEN });
    hub.intercept = (request, response) => {
      if (!request.url!.startsWith('/api/models/someone/model/revision/main')) return false;
      response.writeHead(307, { location: `/api/models/someone/model/revision/v1?blobs=true` }).end();
      return true;
    };
    expect(await fetchBytes('hf:someone/model', 'm.gguf', { cache, token: TOKEN })).toEqual(big);
  });

  it('of the environment does not go to other URLs; one that is given goes to the host of the URL', async () => {
    await hubWith(files);
    vi.stubEnv('HF_TOKEN', TOKEN);
    const server = await use(startFiles(files));
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).toEqual(big);
    expect(new Set(server.seen.map(({ authorization }) => authorization))).toEqual(new Set([undefined]));
    expect(await fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache: false, token: 'mine' })).toEqual(big);
    expect(server.seen.at(-1)!.authorization).toBe('Bearer mine');
  });

  it('is in no message, no progress and no file', async () => {
    const hub = await hubWith(files, { token: 'another' });
    const messages: string[] = [];
    const attempt = async (location: string, token = TOKEN): Promise<void> => {
      const onProgress = (progress: object): void => void messages.push(JSON.stringify(progress));
      const error = await fetchBytes(location, 'm.gguf', { cache, token, onProgress }).catch((reason: unknown) => reason);
      if (error instanceof Error) messages.push(error.message, error.stack!, JSON.stringify(error, Object.getOwnPropertyNames(error)), String(error.cause));
    };
    await attempt('hf:someone/model'); // 401, the server quoting it
    expect(messages.join()).toMatch(/refused \(status 401\).*the token has no access.*Invalid credentials: Bearer …/);
    for (const text of [`${TOKEN}\nx`, `${TOKEN} `, `${TOKEN}é`]) await attempt('hf:someone/model', text);
    expect(messages.join()).toMatch(/not a text of printable ASCII/);
    await attempt(`http://${TOKEN}:${TOKEN}@127.0.0.1/m.gguf`);
    await attempt(`${hub.url}/m.gguf?token=${TOKEN}`);
    hub.intercept = (_request, response) => {
      response.writeHead(302, { location: `ftp://x/${TOKEN}` }).end();
      return true;
    };
    await attempt('hf:someone/model');
    vi.stubEnv('HF_ENDPOINT', `http://${TOKEN}@127.0.0.1:1`);
    await attempt('hf:someone/model');
    vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:1');
    await attempt('hf:someone/model');
    expect(messages.length).toBeGreaterThan(20);
    expect(messages.join('\n')).not.toContain('Secret');
    for (const file of await allFiles(cache)) expect((await readFile(`${cache}/${file}`)).includes('Secret'), file).toBe(false);
  });

  it('without one, a private model tells what is missing', async () => {
    await hubWith(files, { token: TOKEN });
    await expect(MatMulFreeLM.load('hf:someone/model', { cache })).rejects.toThrow(/hf:someone\/model: refused \(status 401\).*set HF_TOKEN, or the option token/);
    await expect(MatMulFreeLM.load('hf:someone/model', { cache, token: 7 as never })).rejects.toThrow(ArgumentError);
  });
});

describe('redirects', () => {
  it.each([['in a circle', '/m.gguf', /more than 10 redirects/], ['to a file', 'file:///etc/passwd', /redirects to where nothing is fetched from/], ['to nowhere', 'http://', /redirects to where/],
    ['with a password', 'http://a:b@127.0.0.1/', /redirects to where/]])('%s', async (_what, location, message) => {
    const server = await use(startFiles({}));
    server.intercept = (_request, response) => {
      response.writeHead(302, { location }).end();
      return true;
    };
    await expect(fetchBytes(`${server.url}/m.gguf`, 'm.gguf', { cache })).rejects.toThrow(message);
  });
});

describe('when the Hub cannot be reached', () => {
  it('the cache serves, and progress says so', async () => {
    const hub = await hubWith({ 'm.gguf': big });
    await fetchBytes('hf:someone/model', 'm.gguf', { cache });
    const offline = async (): Promise<void> => {
      const events: DownloadProgress[] = [];
      expect(await fetchBytes('hf:someone/model', 'm.gguf', { cache, onProgress: (event) => events.push(event) })).toEqual(big);
      expect(events).toEqual([{ stage: 'offline', file: 'hf:someone/model', loaded: 0, total: 0 }]);
    };
    hub.intercept = (_request, response) => {
      response.writeHead(503).end();
      return true;
    };
    await offline();
    hub.intercept = () => new Promise(() => undefined); // a network that swallows everything
    await offline();
    await hub.close();
    await offline();
    await expect(fetchBytes('hf:someone/model@v1', 'm.gguf', { cache })).rejects.toThrow(/hf:someone\/model@v1: the connection fails: ECONNREFUSED/);
  });

  it('but not when the Hub says no', async () => {
    const hub = await hubWith({ 'm.gguf': big });
    await fetchBytes('hf:someone/model', 'm.gguf', { cache });
    hub.intercept = (_request, response) => {
      response.writeHead(404).end();
      return true;
    };
    await expect(fetchBytes('hf:someone/model', 'm.gguf', { cache })).rejects.toThrow(/not there/);
  });

  it('a commit in the cache needs no Hub at all', async () => {
    const hub = await hubWith({ 'm.gguf': big });
    await fetchBytes(`hf:someone/model@${COMMIT}`, 'm.gguf', { cache });
    await hub.close();
    expect(await fetchBytes(`hf:someone/model@${COMMIT}`, 'm.gguf', { cache })).toEqual(big);
  });

  it('a commit that was asked for is the one that one gets', async () => {
    await hubWith({ 'm.gguf': big }, { commit: 'beef0123456789beef0123456789beef01234567' });
    const error = await fetchBytes(`hf:someone/model@${COMMIT}`, 'm.gguf', { cache }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as Error).message).toBe(`hf:someone/model@${COMMIT}: the Hub's list of files is that of commit beef0123456789beef0123456789beef01234567`);
    expect(await allFiles(cache)).toEqual([]);
  });

  it('the last version that is whole serves, not one whose download broke off', async () => {
    const version = (seed: number): Files => ({
      'config.json': json({ seed }), 'model.safetensors.index.json': json({}),
      'model-00001-of-00002.safetensors': bytesOf(5000, seed), 'model-00002-of-00002.safetensors': bytesOf(5000, seed + 1),
    });
    const getAll = async (): Promise<Uint8Array[]> => {
      const files = await openRemote('hf:someone/model', { cache }, FAST);
      const got: Uint8Array[] = [];
      for (const name of await files.list()) got.push(await readAll((await files.open(name))!));
      return got;
    };
    const [older, newer] = [version(40), version(50)];
    const hub = await hubWith(older);
    const whole = await getAll();
    expect(whole).toHaveLength(4);
    // The same address, a newer commit, and no way to get the last of its files.
    const moved = await use(startHub(newer, { commit: 'beef0123456789beef0123456789beef01234567' }));
    hub.intercept = async (request, response) => {
      if (request.url!.includes('00002-of')) return response.writeHead(503).end() !== undefined;
      response.end(new Uint8Array(await (await fetch(`${moved.url}${request.url!}`)).arrayBuffer()));
      return true;
    };
    await expect(getAll()).rejects.toThrow(SourceError);
    expect((await wholeFiles(cache)).length).toBeGreaterThan(4);
    await hub.close();
    expect(await getAll()).toEqual(whole);
  });
});

describe('a folder under a URL', () => {
  it('loads, with and without shards, and when the server is away', async () => {
    const sharded = await shards();
    for (const files of [tinyCheckpoint(), sharded] as Files[]) {
      const place = await temporaryFolder();
      const server = await use(startFiles(Object.fromEntries(Object.entries(files).map(([name, content]) => [`some/folder/${name}`, content]))));
      const lm = await MatMulFreeLM.load(`${server.url}/some/folder`, { cache: place });
      expect(logitsOf(await MatMulFreeLM.load(`${server.url}/some/folder/`, { cache: false }))).toEqual(logitsOf(lm));
      await server.close();
      const files2 = await openRemote(`${server.url}/some/folder`, { cache: place }, FAST);
      expect(await files2.list()).toEqual(['config.json', files === sharded ? 'model.safetensors.index.json' : 'model.safetensors']);
      expect(logitsOf(await MatMulFreeLM.load(`${server.url}/some/folder`, { cache: place }))).toEqual(logitsOf(lm));
    }
  });

  it('what could not be asked for is not taken for absent', async () => {
    const files = { ...tinyCheckpoint(), 'tokenizer.json': json('{}') } as Files;
    const server = await use(startFiles(files));
    server.intercept = (request, response) => request.url!.includes('tokenizer.json') && response.writeHead(503).end() !== undefined;
    const open = async (): Promise<unknown> => (await openRemote(server.url, { cache }, FAST)).open('tokenizer.json');
    await fetchBytes(server.url, 'config.json', { cache });
    await fetchBytes(server.url, 'model.safetensors', { cache });
    await expect(open()).rejects.toThrow(/tokenizer\.json: the server answers with status 503/);
    server.intercept = (request, response) => request.url!.includes('tokenizer.json') && response.writeHead(404).end() !== undefined;
    expect(await open()).toBeUndefined();
    await server.close();
    expect(await open()).toBeUndefined(); // that is what it said
  });

  it('on servers that answer what they lack with 403, or with their page', async () => {
    for (const [status, type] of [[403, 'application/xml'], [200, 'text/html']] as const) {
      const files = tinyCheckpoint() as Files;
      const server = await use(startFiles(files));
      server.intercept = (request, response) => {
        if (request.url!.slice(1) in files) return false;
        response.writeHead(status, { 'content-type': type }).end('<nothing/>');
        return true;
      };
      expect((await MatMulFreeLM.load(server.url, { cache })).hasTokenizer).toBe(false);
    }
  });

  it('keeps its query, and does not show it', async () => {
    const files = { 'm/config.json': json('{}'), 'm/model.safetensors': safetensors({}) };
    const server = await use(startFiles(files));
    const error = await MatMulFreeLM.load(`${server.url}/m?sig=secret#x`, { cache }).catch((reason: unknown) => reason);
    expect((error as Error).message).not.toContain('secret');
    expect(server.seen.length).toBeGreaterThan(1);
    for (const { path } of server.seen) expect(path).toMatch(/\?sig=secret$/);
    await MatMulFreeLM.load(`${server.url}/m?sig=another`, { cache }).catch(() => undefined);
    const kept = await wholeFiles(cache);
    expect(kept.filter((path) => path.endsWith('/config.json'))).toHaveLength(2); // what one query gives is not what another does
    expect((await allFiles(cache)).join()).not.toMatch(/secret|another/); // the names of folders are seen, too
  });

  it('without config.json', async () => {
    const server = await use(startFiles({}));
    await expect(MatMulFreeLM.load(`${server.url}/m`, { cache })).rejects.toThrow(`${server.url}/m/: holds no config.json; give the URL of a .gguf file, or of a folder in Hugging Face layout`);
  });
});

describe('options', () => {
  it.each([
    ['hf:a/b', { cache: '' }, /option cache is "", not the path of a folder or false/], ['hf:a/b', { cache: true as never }, /option cache is true/], ['https://', {}, /not an http or https URL/],
    ['https://me:secret@h/m.gguf', {}, /holds a user name or a password/], ['http:// /secret?x', {}, /not an http or https URL/],
  ])('%s %j', async (location, options, message) => {
    const error = await openRemote(location, options, FAST).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ArgumentError);
    expect((error as Error).message).toMatch(message);
  });

  it('HF_ENDPOINT must be a URL; a slash at its end does not matter', async () => {
    const hub = await hubWith({ 'm.gguf': big });
    vi.stubEnv('HF_ENDPOINT', `${hub.url}/`);
    expect(await fetchBytes('hf:someone/model', 'm.gguf', { cache })).toEqual(big);
    vi.stubEnv('HF_ENDPOINT', 'huggingface.co');
    await expect(openRemote('hf:a/b', { cache }, FAST)).rejects.toThrow(/HF_ENDPOINT.*not an http or https URL/);
  });

  it('load stops at an abort, at once, in a download', async () => {
    const hub = await hubWith({ 'm.gguf': big });
    hub.intercept = (request) => request.url!.includes('resolve') ? new Promise(() => undefined) : false;
    const abort = new AbortController();
    const loading = MatMulFreeLM.load('hf:someone/model', { cache, signal: abort.signal });
    while (hub.seen.length < 2) await wait(5);
    abort.abort(new Error('enough'));
    await expect(loading).rejects.toThrow('enough');
  });

});

import { beforeEach, expect, it, vi } from 'vitest';
import type { ByteSource } from '../../../src/formats/bytes.js';
import { openRemote } from '../../../src/sources/hub/remote.js';
import { expectNoPollution, fuzz, mutate, mutateJson, pick, type Random } from '../../support/fuzz.js';
import { COMMIT } from '../../support/servers.js';
import { FAST } from './setup.js';

const file = (rfilename: string, size = 4, large = false): unknown => ({ rfilename, size, blobId: 'b'.repeat(40), ...(large ? { lfs: { size, sha256: 'a'.repeat(64), pointerSize: 130 } } : {}) });
const LISTS = [
  ['config.json', 'README.md', 'tokenizer.json', 'model.safetensors'],
  ['config.json', 'model.safetensors.index.json', 'model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors', 'onnx/model.onnx'],
  ['m.gguf'], ['q/m-00001-of-00002.gguf', 'q/m-00002-of-00002.gguf', 'Q/M-00001-OF-00002.GGUF'], ['a.gguf', 'b.gguf'], ['config.json', 'pytorch_model.bin'],
].map((names) => ({ id: 'someone/model', sha: COMMIT, private: false, tags: [], siblings: names.map((name) => file(name, 4, !name.endsWith('.json'))) }));
const SPARE = [
  ...['config.json', 'CONFIG.JSON', '../evil.json', '/etc/passwd.json', 'x\\..\\evil.json', 'C:evil.json', 'nul.gguf', 'a/'.repeat(20) + 'x.gguf', `${'é'.repeat(150)}.json`, '‥／evil.json', 'com¹.json', 'x.json ', '.git/config.json', '__proto__'].flatMap((name) => [name, file(name)]),
  COMMIT, 'main', '../..', 2 ** 53, { size: -1, sha256: '../x' },
];

interface Reply {
  readonly list: Uint8Array<ArrayBuffer>;
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array<ArrayBuffer>;
}

let reply: Reply;
const asked: string[] = [];
beforeEach(() => {
  vi.stubGlobal('fetch', async (url: URL): Promise<Response> => {
    asked.push(url.href);
    const { status, headers, body } = reply;
    if (url.pathname.startsWith('/api/')) return new Response(reply.list, { status: 200 });
    return new Response([204, 304].includes(status) ? null : body, { status, headers });
  });
  vi.stubEnv('HF_ENDPOINT', 'https://hub.test');
});

/** What comes when a file is asked for: mostly in order, so that something comes of it. */
function makeReply(random: Random): Omit<Reply, 'list'> {
  if (random.unit() < 0.5) return { status: 206, headers: { 'content-range': 'bytes 0-3/4', etag: '"x"' }, body: Uint8Array.of(1, 2, 3, 4) };
  const body = Uint8Array.from({ length: random.integer(0, 8) }, () => random.integer(0, 255));
  const range = pick(random, ['bytes 0-3/4', `bytes 0-${body.length - 1}/${body.length}`, 'bytes */4', 'bytes 0-3/*', 'bytes 1-3/4', `bytes 0-3/${'9'.repeat(400)}`, 'bytes 0-3/9007199254740993', 'bytes -1-3/4', '0']);
  const headers: Record<string, string> = { 'content-range': range, 'content-length': pick(random, ['4', String(body.length), '1e3', '-1', '99999999999999999999']) };
  if (random.unit() < 0.5) headers['etag'] = pick(random, ['"x"', '', 'W/"y"', 'x'.repeat(5000), '../..']);
  if (random.unit() < 0.5) headers['x-linked-etag'] = pick(random, [`"${'a'.repeat(64)}"`, '../x', '""']);
  if (random.unit() < 0.3) headers['x-linked-size'] = pick(random, ['4', '5', 'NaN', '9'.repeat(30)]);
  if (random.unit() < 0.2) headers['location'] = pick(random, ['https://elsewhere.test/x', '//', 'file:///etc/passwd', 'http://hub.test/x', 'javascript:1', 'https://a:b@hub.test/']);
  if (random.unit() < 0.2) headers['retry-after'] = pick(random, ['0', '-5', '1e9', 'never', '9'.repeat(400)]);
  if (random.unit() < 0.2) headers['x-error-message'] = 'no\u001b[31m '.repeat(500);
  return { status: pick(random, [200, 200, 206, 206, 206, 204, 302, 304, 401, 403, 404, 416, 429, 500]), headers, body };
}

const TUNING = { ...FAST, attempts: 2, backoffMs: 0, maxBackoffMs: 0, maxRetryAfterMs: 0 };

fuzz<Reply>({
  kind: 'answers of the Hub', inputs: 800, endings: 20, size: ({ list, body }) => list.length + body.length,
  make: (random) => ({ ...makeReply(random), list: random.unit() < 0.15 ? mutate(new TextEncoder().encode(JSON.stringify(pick(random, LISTS))), random) : mutateJson(pick(random, LISTS), random, SPARE) }),
  async use(input) {
    reply = input;
    asked.length = 0;
    const open: ByteSource[] = [];
    try {
      const files = await openRemote('hf:someone/model', { cache: false }, TUNING);
      const names = await files.list();
      for (const name of [...names.slice(0, 3), 'config.json', '../x', '__proto__']) {
        const source = await files.open(name);
        if (!source) continue;
        open.push(source);
        await source.read(0, source.size);
      }
    } finally {
      await Promise.all(open.map((source) => source.close()));
      for (const url of asked) {
        if (!/^https:\/\/(hub\.test\/(api\/models\/someone\/model\/revision\/main\?blobs=true|someone\/model\/resolve\/[0-9a-f]{7,64}\/[^?#]+|$)|elsewhere\.test\/x$)/.test(url)) throw new Error(`asked for ${url}`);
        expect(decodeURIComponent(url)).not.toMatch(/\.\.|\\|evil|passwd/);
      }
    }
  },
});

it('keys of the prototype did nothing', expectNoPollution);

import { describe, expect, it } from 'vitest';
import { ArgumentError, FormatError, inspect, MatMulFreeError, MatMulFreeLM, SourceError, type Progress } from 'matmulfree';
import { MatMulFreeWorker } from 'matmulfree/worker';
import { randomTensors, TINY } from '../../support/checkpoints.js';
import { gguf, modelMetadata, modelTensors } from '../../support/gguf-files.js';
import { sendFile, startFiles } from '../../support/servers.js';
import { WorkerInProcess } from '../../support/worker-in-process.js';
import { use } from './setup.js';

const model = Uint8Array.from(gguf({ metadata: modelMetadata(TINY), tensors: modelTensors(randomTensors(TINY, 1)) }));

/** On this thread, and in a worker, where the page reads the response. */
const LOADS = {
  page: (source: Response, options = {}) => MatMulFreeLM.load(source, options),
  worker: (source: Response, options = {}) => MatMulFreeWorker.load(source, { ...options, worker: new WorkerInProcess() as never }),
};

describe.each(['page', 'worker'] as const)('what fetch gave (%s)', (where) => {
  const load = LOADS[where];

  async function failure(source: Response, kind: new (...args: never[]) => Error = SourceError): Promise<string> {
    const error: unknown = await load(source).then(() => undefined, (reason: unknown) => reason);
    expect(error).toBeInstanceOf(MatMulFreeError);
    expect(error).toBeInstanceOf(kind);
    return (error as Error).message;
  }

  it('is read, with progress', async () => {
    const server = await use(startFiles({ 'some/m.gguf': model }));
    const events: Progress[] = [];
    const lm = await load(await fetch(`${server.url}/some/m.gguf?x=1`), { onProgress: (event: Progress) => events.push(event) });
    expect(lm.config.hiddenSize).toBe(12);
    const downloads = events.filter(({ stage }) => stage === 'download');
    expect(downloads.at(-1)).toEqual({ stage: 'download', file: 'm.gguf', loaded: model.length, total: model.length });
    expect(server.seen).toHaveLength(1);
    lm.dispose?.();
  });

  it('of any making: from bytes, a Blob, a stream, a clone', async () => {
    const pieces = new ReadableStream({
      start(controller) {
        for (let at = 0; at < model.length; at += 1000) controller.enqueue(model.slice(at, at + 1000));
        controller.close();
      },
    });
    const original = new Response(model);
    for (const response of [original.clone(), original, new Response(new Blob([model])), new Response(pieces)]) {
      expect((await load(response)).config.hiddenSize).toBe(12);
    }
  });

  it('with a failed status', async () => {
    const server = await use(startFiles({ 'm.gguf': model }));
    expect(await failure(await fetch(`${server.url}/none.gguf?token=secret`))).toBe(`${server.url}/none.gguf: is not there (status 404)`);
    for (const status of [401, 403, 500, 503]) expect(await failure(new Response('no', { status }))).toBe(`the Response: the server answers with status ${status}`);
    expect(await failure(await fetch(`${server.url}/m.gguf`, { headers: { range: 'bytes=0-99' } }))).toBe(`${server.url}/m.gguf: is a part of the file only (status 206); fetch it without the header Range`);
    expect(await failure(new Response('<html>', { headers: { 'content-type': 'text/html; charset=utf-8' } }))).toBe('the Response: there is no such file: the server answers with a web page');
  });

  it('that scripts may not see', async () => {
    const sealed = (type: string): Response => Object.defineProperty(new Response(null), 'type', { value: type });
    expect(await failure(Response.error())).toBe('the Response: the connection has failed');
    expect(await failure(sealed('opaque'))).toMatch(/^the Response: its content is hidden from scripts; fetch it without mode: 'no-cors'/);
    expect(await failure(sealed('opaqueredirect'))).toMatch(/^the Response: it is a redirect that was not followed/);
  });

  it('that has been read, or is being read', async () => {
    const read = new Response(model);
    await read.arrayBuffer();
    const locked = new Response(model);
    locked.body!.getReader();
    for (const response of [read, locked]) expect(await failure(response, ArgumentError)).toMatch(/^load: this Response has been read already; fetch it again/);
  });

  it('that is cut, or empty, or no model', async () => {
    const server = await use(startFiles({ 'm.gguf': model }));
    server.intercept = (request, response) => {
      sendFile(request, response, model, { cutAfter: 500 });
      return true;
    };
    expect(await failure(await fetch(`${server.url}/m.gguf?token=secret`))).toMatch(new RegExp(`^${server.url}/m\\.gguf: the connection (fails|ends)`));
    expect(await failure(new Response(null), FormatError)).toMatch(/^model\.gguf: the file ends at byte 0/);
    expect(await failure(new Response('{"a": 1}'), FormatError)).toMatch(/^model\.gguf: /);
    expect(await failure(new Response(model, { headers: { 'content-length': '10' } }), FormatError)).toBe('the Response: has more than 10 bytes, which is what the server said');
    expect(await failure(new Response(model, { headers: { 'content-length': '99999' } }))).toBe(`the Response: the connection ends at byte ${model.length} of 99999`);
    expect(await failure(new Response(model, { headers: { 'content-length': String(2 ** 40) } }), FormatError)).toMatch(/more than the \d+ that such a file may have/);
    // Compressed on its way: the length is not that of what comes.
    expect((await load(new Response(model, { headers: { 'content-length': '10', 'content-encoding': 'gzip' } }))).config.hiddenSize).toBe(12);
  });

  it('whose reading is stopped, by the signal of either', async () => {
    const reason = new Error('enough');
    for (const whose of ['load', 'fetch'] as const) {
      const server = await use(startFiles({}));
      server.intercept = (_request, response) => {
        response.writeHead(200, { 'content-length': model.length }).write(model.subarray(0, 500));
        return true;
      };
      const abort = new AbortController();
      const response = await fetch(`${server.url}/m.gguf`, whose === 'fetch' ? { signal: abort.signal } : {});
      const onProgress = (): void => abort.abort(whose === 'load' ? reason : undefined);
      const error: unknown = await load(response, { onProgress, ...(whose === 'load' ? { signal: abort.signal } : {}) }).catch((thrown: unknown) => thrown);
      if (whose === 'load') expect(error).toBe(reason);
      else expect(error).toMatchObject({ name: 'AbortError' });
    }
    await expect(load(new Response(model), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

it('a source of another kind says so before it goes to the worker', async () => {
  for (const [source, message] of [[Promise.resolve(model), 'load: got a Promise; write await before it'], [new Request('https://h/m.gguf'), /^load: got a Request; give its url/], [new Float32Array(4), /Float32Array/]] as const) {
    await expect(MatMulFreeWorker.load(source as never, { worker: new WorkerInProcess() as never })).rejects.toThrow(message);
  }
});

it('inspect takes one too', async () => {
  expect((await inspect(new Response(model))).format).toBe('GGUF v3');
});

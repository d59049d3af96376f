import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { serveSite } from '../../examples/browser/server.js';
import { EMBEDDED } from '../support/files.js';
import { firefoxVersion, NO_FIREFOX, startFirefox, type Firefox } from './firefox.js';

/** Uses the page in a frame, as nothing but the page itself can drive this browser; and tells what came of it. */
async function drive(): Promise<void> {
  const frame = document.querySelector('iframe')!;
  const at = <T extends HTMLElement>(id: string): T => frame.contentDocument!.querySelector<T>(`#${id}`)!;
  async function until(condition: () => unknown): Promise<void> {
    for (let isSo: unknown = false; !isSo; await new Promise((resolve) => setTimeout(resolve, 2))) {
      try {
        isSo = condition();
      } catch {
        // the page is being loaded
      }
    }
  }
  async function write(): Promise<{ text: string; firstMs: number }> {
    await until(() => !at<HTMLButtonElement>('write').disabled);
    at<HTMLSelectElement>('pace').value = 'Infinity';
    at('write').click();
    await until(() => / tokens\.$/.test(at('announce').textContent!) && at('write').textContent === 'Write');
    return { text: at('trunk').textContent!, firstMs: frame.contentWindow!.performance.getEntriesByName('first-token')[0]!.startTime };
  }
  async function reload(): Promise<void> {
    const before = frame.contentDocument;
    frame.contentWindow!.location.reload();
    await until(() => frame.contentDocument !== before && at('write'));
  }
  const report: Record<string, unknown> = {};
  try {
    await until(() => at('runs-on').textContent !== '');
    report['first'] = await write();
    report['runsOn'] = at('runs-on').textContent;
    report['isEditable'] = at('prompt').isContentEditable;
    at('fork').click();
    await until(() => frame.contentDocument!.querySelectorAll('.branch .t').length > 20 && at('write').textContent === 'Write');
    await until(() => at('offline').textContent !== '');
    report['offline'] = at('offline').textContent;
    await reload();
    report['again'] = await write();
    await fetch('/gone', { method: 'POST' });
    await reload();
    report['alone'] = await write();
  } catch (error) {
    report['error'] = String(error);
  }
  await fetch('/report', { method: 'POST', body: JSON.stringify(report) });
}

interface Report {
  readonly first: { readonly text: string };
  readonly again: { readonly text: string; readonly firstMs: number };
  readonly alone: { readonly text: string; readonly firstMs: number };
}

describe.skipIf(NO_FIREFOX)(`the example page in Firefox${NO_FIREFOX}`, () => {
  it('writes what Node writes, forks, and works without a server', async () => {
    const site = await serveSite({ port: 0, isolated: true });
    const isolation = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
    let isGone = false;
    let resolve: (report: Report) => void;
    const reported = new Promise<Report>((fulfil) => { resolve = fulfil; });
    const server = createServer(async (request, response) => {
      if (request.url === '/gone') isGone = true;
      if (request.method === 'POST') {
        let body = '';
        for await (const chunk of request) body += String(chunk);
        response.writeHead(204).end();
        if (request.url === '/report') resolve(JSON.parse(body) as Report);
      } else if (request.url === '/drive') {
        response.writeHead(200, { 'content-type': 'text/html', ...isolation });
        response.end(`<!doctype html><iframe src="/" width="1200" height="800"></iframe><script>(${drive.toString()})()</script>`);
      } else if (isGone) {
        request.socket.destroy();
      } else {
        const { status, headers, body } = await fetch(new URL(request.url!, site.url), { headers: request.headers.range === undefined ? {} : { range: request.headers.range } });
        const kept = [...headers].filter(([name]) => !/^(connection|keep-alive|transfer-encoding)$/.test(name));
        response.writeHead(status, Object.fromEntries(kept)).end(Buffer.from(await new Response(body).arrayBuffer()));
      }
    });
    await new Promise<void>((listening) => server.listen(0, 'localhost', listening));
    let firefox: Firefox | undefined;
    try {
      firefox = await startFirefox(`http://localhost:${(server.address() as AddressInfo).port}/drive`);
      const late = new Promise<never>((_, reject) => setTimeout(() => reject(new Error('no report after 40 s')), 40_000).unref());
      const report = await Promise.race([reported, late]);
      const lm = await MatMulFreeLM.load(EMBEDDED, { threads: 1 });
      const session = lm.session();
      const beginning = 'Once upon a time, there was a little robot who';
      await session.append(beginning);
      let text = beginning;
      for await (const piece of session.generate({ temperature: 0.7, topP: 0.95, maxNewTokens: 220, seed: 7 })) text += piece;
      expect(report).toMatchObject({
        first: { text }, again: { text }, alone: { text }, isEditable: true, offline: 'This page works without a network from now on.',
        runsOn: expect.stringMatching(/^WebAssembly, relaxed SIMD, (one thread|\d+ threads)\. 8\.9 million parameters/),
      });
      expect(report).not.toHaveProperty('error');
      console.log(`${firefoxVersion()}: first token after a reload: ${report.again.firstMs.toFixed(0)} ms from the cache, ${report.alone.firstMs.toFixed(0)} ms without a server`);
    } finally {
      await firefox?.close();
      server.closeAllConnections();
      server.close();
      await site.close();
    }
  });
});

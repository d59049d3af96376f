import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { MatMulFreeLM } from 'matmulfree';
import { policyOf } from '../../examples/browser/site.js';
import { EMBEDDED } from '../support/files.js';
import type { FirefoxBrowser } from './browser.js';
import { PROMPT } from './example-page.js';
import { scriptedModel } from './scripted-model.js';
import { serveCopy } from './site-copy.js';

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
  /** On a small screen: what is sticky, what runs out sideways, the dialog with what is wrong, an empty beginning. */
  async function look(): Promise<Record<string, unknown>> {
    const [page, view] = [frame.contentDocument!, frame.contentWindow!];
    [frame.width, frame.height] = ['320', '568'];
    const isSeen = (id: string): boolean => {
      const { top, bottom } = at(id).getBoundingClientRect();
      return top >= 0 && bottom <= view.innerHeight;
    };
    const outside = (): number => page.documentElement.scrollWidth - page.documentElement.clientWidth;
    const found: Record<string, unknown> = { outside: outside() };
    found['bar'] = [0, 0.5, 1].map((where) => {
      view.scrollTo(0, where * page.documentElement.scrollHeight);
      return isSeen('bar');
    });
    at('model').click();
    at<HTMLInputElement>('address').value = 'hf:nobody';
    at<HTMLFormElement>('address-form').requestSubmit();
    await until(() => !at('trouble').hidden);
    found['dialog'] = [at<HTMLDialogElement>('chooser').open, at('trouble').closest('dialog')?.id, isSeen('trouble'), outside()];
    at('chooser-close').click();
    const { textContent } = at('prompt');
    at('prompt').focus();
    page.execCommand('selectAll');
    page.execCommand('delete');
    found['empty'] = view.getComputedStyle(at('prompt'), '::before').content;
    at('prompt').textContent = textContent;
    at('prompt').dispatchEvent(new Event('input'));
    [frame.width, frame.height] = ['1200', '800'];
    return found;
  }
  /** With a model that converses: a thought, an answer with marks, hostile text, another message in place of one; and no wider than a small screen. */
  async function converse(): Promise<Record<string, unknown>> {
    const [page, view] = [frame.contentDocument!, frame.contentWindow as Window & typeof globalThis];
    const given = new view.DataTransfer(); // one of its own kind
    for (const name of (await (await fetch('/chat-model')).json()) as string[]) given.items.add(new view.File([await (await fetch(`/chat-model/${name}`)).blob()], name));
    at<HTMLInputElement>('file-input').files = given.files;
    at('file-input').dispatchEvent(new Event('change'));
    await until(() => at('said').checkVisibility());
    [frame.width, frame.height] = ['320', '568'];
    const press = (field: HTMLElement): boolean => field.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
    const answered = (): Promise<void> => until(() => at('send').textContent === 'Send' && page.querySelector('.answer .actions .link'));
    at<HTMLTextAreaElement>('said').value = 'Hello';
    press(at('said'));
    await answered();
    const found: Record<string, unknown> = { html: page.querySelector('.prose')!.innerHTML, thought: page.querySelector<HTMLDetailsElement>('.thought')!.open };
    found['outside'] = page.documentElement.scrollWidth - page.documentElement.clientWidth;
    page.querySelector<HTMLElement>('.said .link')!.click();
    const field = page.querySelector<HTMLTextAreaElement>('.edit textarea')!;
    found['height'] = field.scrollHeight <= field.clientHeight;
    field.value = 'Good day';
    press(field);
    await until(() => page.querySelector('.bubble')?.textContent === 'Good day');
    await answered();
    found['exchanges'] = page.querySelectorAll('.exchange').length;
    [frame.width, frame.height] = ['1200', '800'];
    return found;
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
    report['small'] = await look();
    at('fork').click();
    await until(() => frame.contentDocument!.querySelectorAll('.branch .t').length > 20 && at('write').textContent === 'Write');
    await until(() => at('offline').textContent !== '');
    report['offline'] = at('offline').textContent;
    report['chat'] = await converse();
    await reload();
    report['again'] = await write();
    await fetch('/gone', { method: 'POST' });
    await reload();
    report['alone'] = await write();
  } catch (error) {
    report['error'] = String(error);
  }
  await fetch('/report', { method: 'POST', body: JSON.stringify(report) });
  location.replace(decodeURIComponent(location.search.slice(1)));
}

interface Report {
  readonly first: { readonly text: string };
  readonly again: { readonly text: string; readonly firstMs: number };
  readonly alone: { readonly text: string; readonly firstMs: number };
}

/** The example page, used by a page around it. */
export function testPageInFirefox(browser: () => FirefoxBrowser): void {
  it('the example page writes what Node writes, forks, fits on a small screen, and works without a server', async () => {
    const isolation = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
    const model = scriptedModel(['<think>Hm.</think>\n\n**Hello** <img src=x onerror=alert(1)>, [you](javascript:alert(2)).']);
    let isGone = false;
    let report: Report | undefined;
    const site = await serveCopy(({ bytes }, files) => ({ bytes, headers: { ...isolation, 'cache-control': 'no-cache', 'content-security-policy': policyOf(files) } }), (request, response) => {
      if (request.method === 'POST') {
        void text(request).then((body) => {
          if (request.url === '/gone') isGone = true;
          else report = JSON.parse(body) as Report;
          response.writeHead(204).end();
        });
      } else if (request.url!.startsWith('/drive')) {
        response.writeHead(200, { 'content-type': 'text/html', ...isolation });
        response.end(`<!doctype html><iframe src="/" width="1200" height="800"></iframe><script>(${drive.toString()})()</script>`);
      } else if (request.url!.startsWith('/chat-model')) {
        const name = request.url!.split('/')[2];
        response.writeHead(200, isolation).end(name === undefined ? JSON.stringify(Object.keys(model)) : model[name]);
      } else if (isGone) request.socket.destroy();
      else return false;
      return true;
    });
    try {
      await browser().visit((back) => `${site.url}drive?${encodeURIComponent(back)}`);
    } finally {
      await site.close();
    }
    const lm = await MatMulFreeLM.load(EMBEDDED, { threads: 1 });
    const session = lm.session();
    await session.append(PROMPT);
    let story = PROMPT;
    for await (const piece of session.generate({ temperature: 0.7, topP: 0.95, maxNewTokens: 220, seed: 7 })) story += piece;
    expect(report).not.toHaveProperty('error');
    expect(report).toMatchObject({
      chat: {
        html: '<p dir="auto"><strong>Hello</strong> &lt;img src=x onerror=alert(1)&gt;, [you](javascript:alert(2)).</p>', thought: false, outside: 0, height: true, exchanges: 1,
      },
      small: { outside: 0, bar: [true, true, true], dialog: [true, 'chooser', true, 0], empty: 'attr(data-empty)' },
      first: { text: story }, again: { text: story }, alone: { text: story }, isEditable: true, offline: 'This page works without a network from now on.',
      runsOn: expect.stringMatching(/^WebAssembly, (?:relaxed SIMD|dot products), (one thread|\d+ threads)\. 8\.9 million parameters/),
    });
    const { again, alone } = report!;
    console.log(`${browser().version}: first token after a reload: ${again.firstMs.toFixed(0)} ms from the cache, ${alone.firstMs.toFixed(0)} ms without a server`);
  });
}

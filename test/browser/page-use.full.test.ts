import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MatMulFreeLM, type GenerateTokensOptions, type Session, type TokenPiece } from 'matmulfree';
import { EMBEDDED } from '../support/files.js';
import { NO_BROWSER } from './chromium.js';
import { AT_REST, PROMPT, withPage } from './example-page.js';
import { testLooks } from './looks.js';

const OPTIONS = { temperature: 0.7, topP: 0.95, maxNewTokens: 220 };

describe.skipIf(NO_BROWSER)(`the example page${NO_BROWSER}`, () => {
  const open = withPage();
  let right: MatMulFreeLM;
  beforeAll(async () => {
    right = await MatMulFreeLM.load(EMBEDDED, { threads: 1 });
  });
  afterAll(() => right?.dispose());

  const seed = async (): Promise<number> => Number(await open().value('seed'));
  /** What a session in Node goes on with. */
  async function next(session: Session, options: GenerateTokensOptions, most = Infinity): Promise<string> {
    let text = '';
    let taken = 0;
    for await (const piece of session.generateTokens(options)) {
      text += piece.text;
      if (++taken === most) break;
    }
    return text;
  }
  async function begun(): Promise<Session> {
    const session = right.session();
    await session.append(PROMPT);
    return session;
  }

  it('writes a story: the one that Node writes with this seed; and then others', async () => {
    const page = open();
    await page.set('pace', '120');
    await page.begin(3);
    expect(await page.text('#write')).toBe('Stop');
    await page.until(AT_REST);
    expect(await page.words('#trunk')).toBe(PROMPT + (await next(await begun(), { ...OPTIONS, seed: 7 })));
    expect(Number((await page.text('#rate')).replace(',', ''))).toBeGreaterThan(10);
    expect(await page.text('#runs-on')).toMatch(/^WebAssembly, (?:relaxed SIMD|dot products), (one thread|\d+ threads)\. 8\.9 million parameters/);
    expect(await page.text('#memory-text')).toMatch(/^This model: 8\.2 kB, .* keeps 8\.2 kB for each token \(2 × 8 layers × 256 channels × 2 bytes\): [\d.]+ MB for \d+ tokens\.$/);
    expect(await page.text('#time-text')).toMatch(/^[\d.]+ (µs|ms) in the first half of the text, [\d.]+ (µs|ms) in the second\. .*warms up, are left out\.$/);
    expect(await page.words('#announce')).toMatch(/^The story has ended, after \d+ tokens\.$/);
    await page.set('pace', 'Infinity');
    await page.write();
    expect(await seed()).not.toBe(7);
    expect(await page.words('#trunk')).toBe(PROMPT + (await next(await begun(), { ...OPTIONS, seed: await seed() })));
  });

  it('stops, and goes on from what is on the page', async () => {
    const page = open();
    await page.begin(12);
    await page.click('#write');
    await page.until(AT_REST);
    const taken = await page.count();
    const session = await begun();
    const before = await next(session, { ...OPTIONS, seed: 7 }, taken);
    expect(await page.words('#trunk')).toBe(PROMPT + before);
    expect(await page.words('#announce')).toBe(`Stopped, after ${taken} tokens.`);
    await page.click('#keep-seed');
    await page.set('pace', 'Infinity');
    await page.write('#continue');
    expect(await page.words('#trunk')).toBe(PROMPT + before + (await next(session, { ...OPTIONS, seed: await seed() })));
  });

  it('writes what is typed, and another story each time, unless the seed is kept', async () => {
    const page = open();
    await page.set('pace', 'Infinity');
    await page.click('#prompt');
    await page.press('a', 2); // Ctrl: all of it
    await page.type('Lily had a red ball. She');
    await page.press('Enter');
    await page.written();
    const first = await page.words('#trunk');
    expect(first).toMatch(/^Lily had a red ball\. She ./);
    await page.write();
    expect(await page.words('#trunk')).toBe(first);
    await page.click('#keep-seed');
    await page.write();
    expect(await page.words('#trunk')).not.toBe(first);
    // A beginning that is changed afterwards does not go with the story.
    await page.click('#another');
    expect(await page.evaluate("document.querySelector('#story').classList.contains('is-stale') && document.querySelector('#continue').disabled")).toBe(true);
  });

  it('forks the story where it is, both ways at the same time, and goes on with one', async () => {
    const page = open();
    await page.set('length', '30');
    await page.story();
    const session = await begun();
    const start = await next(session, { ...OPTIONS, maxNewTokens: 30, seed: 7 });
    await page.write('#fork');
    const with30 = { ...OPTIONS, maxNewTokens: 30 };
    const [left, other] = [session.fork(), session.fork()];
    const used = await seed();
    const texts = [await next(left, { ...with30, seed: used }), await next(other, { ...with30, seed: used + 1 })];
    const shown = (): Promise<string[]> => page.evaluate("[...document.querySelectorAll('.branch')].map((branch) => [...branch.querySelectorAll(':scope > div p')].map((p) => p.textContent).join(''))");
    expect(await page.words('#trunk')).toBe(PROMPT + start);
    expect(await shown()).toEqual(texts.map((text) => text.trimStart()));
    await page.write('#continue');
    const again = await seed();
    texts[1] += await next(other, { ...with30, seed: again + 1 });
    expect((await shown())[1]).toBe(texts[1]!.trimStart());
    await page.click('.branch:nth-of-type(2) button');
    await page.until("document.querySelector('#branches').hidden");
    expect(await page.words('#trunk')).toBe(PROMPT + start + texts[1]);
    await page.write('#continue');
    expect(await page.words('#trunk')).toBe(PROMPT + start + texts[1] + (await next(other, { ...with30, seed: await seed() })));
  });

  it('forks a story that has ended at a sentence in its middle, in sight; and goes on with what has not ended', async () => {
    const page = open();
    await page.screen(1280, 500);
    await page.story();
    const [story, length] = [await page.words('#trunk'), await page.count()];
    expect(await page.text('#fork')).toBe('New ending');
    await page.evaluate('scrollTo(0, 1e6)');
    await page.set('length', '10');
    await page.write('#fork');
    const at = await page.count('#trunk');
    expect(at / length).toBeGreaterThan(0.25);
    expect(at / length).toBeLessThan(0.75);
    const session = await begun();
    const trunk = PROMPT + (await next(session, { ...OPTIONS, seed: 7 }, at));
    expect(trunk).toMatch(/[.!?]["”]?\s*$/);
    expect(story.startsWith(trunk)).toBe(true);
    const second = async (): Promise<string> => page.words('.branch:nth-of-type(2) div');
    const ending = await next(session, { ...OPTIONS, maxNewTokens: 10, seed: 7 });
    expect([await page.words('#trunk'), await page.words('.branch:nth-of-type(1) div'), await second()]).toEqual([trunk, story.slice(trunk.length).trimStart(), ending.trimStart()]);
    const [top, bottom] = await page.evaluate<[number, number]>(`(() => {
      const first = document.querySelector('.branch:nth-of-type(2) .t').getBoundingClientRect();
      return [first.top, document.querySelector('#dock').getBoundingClientRect().top - first.bottom];
    })()`);
    expect(Math.min(top, bottom)).toBeGreaterThanOrEqual(0);
    // The first one has ended.
    expect(await page.text('#continue')).toBe('Continue');
    await page.write('#continue');
    expect(await page.count('.branch:nth-of-type(1)')).toBe(length - at);
    expect(await second()).toBe((ending + (await next(session, { ...OPTIONS, maxNewTokens: 10, seed: 8 }))).trimStart());
  });

  it('tells how probable each word was, and forks the story with another one: with the mouse', async () => {
    const page = open();
    await page.story();
    const story = await page.words('#trunk');
    await page.move('#trunk .t:nth-of-type(41)'); // the prompt is the first span
    await page.until("!document.querySelector('#card').hidden");
    const session = await begun();
    const before = await next(session, { ...OPTIONS, seed: 7 }, 39);
    const fork = session.fork();
    const [place] = [(await fork.generateTokens({ topLogprobs: 5, maxNewTokens: 1 }).next()).value as TokenPiece];
    const rows = await page.evaluate<string[]>("[...document.querySelectorAll('#card .row')].map((row) => row.children[1].textContent)");
    expect(rows).toEqual(place.topLogprobs.map(({ id }) => right.tokenizer.decode([id]).trim()));
    expect(await page.text('#card .row .number')).toBe(`${Math.round(100 * Math.exp(place.topLogprobs[0]!.logprob))} %`);
    await page.click('#trunk .t:nth-of-type(41)');
    await page.until("document.querySelector('#card.is-pinned')");
    await page.write('#card li:nth-child(2) .row');
    const forced = [place.topLogprobs[1]!.id];
    const other = await next(session, { ...OPTIONS, seed: await seed(), forcedTokens: forced });
    expect(await page.words('#trunk')).toBe(PROMPT + before);
    expect(await page.words('.branch:nth-of-type(1) div')).toBe(story.slice((PROMPT + before).length).trimStart());
    expect(await page.words('.branch:nth-of-type(2) div')).toBe(other.trimStart());
    // What is tinted by probability, is when that is asked for.
    const tint = (): Promise<string> => page.evaluate("getComputedStyle(document.querySelector('.t[data-p=\"3\"]')).backgroundColor");
    expect(await tint()).toBe('rgba(0, 0, 0, 0)');
    await page.click('#sure');
    expect(await tint()).not.toBe('rgba(0, 0, 0, 0)');
  });

  it('… and with the keyboard', async () => {
    const page = open();
    await page.story();
    await page.evaluate("document.querySelector('#story').focus()");
    for (const key of ['ArrowRight', 'ArrowDown', 'ArrowRight', 'ArrowLeft']) await page.press(key);
    await page.until("!document.querySelector('#card').hidden");
    expect(await page.evaluate("[...document.querySelectorAll('.t')].indexOf(document.querySelector('.is-chosen'))")).toBe(10);
    expect(await page.words('#announce')).toMatch(/^.+, (> |< )?[\d.]+ %(, choice \d)?$/);
    await page.press('Enter');
    expect(await page.evaluate("document.activeElement.classList.contains('row')")).toBe(true);
    await page.press('Escape');
    expect(await page.evaluate("document.activeElement.id + document.querySelector('#card').hidden")).toBe('storytrue');
    await page.press('Home');
    await page.until("!document.querySelector('#card').hidden");
    await page.press('Enter');
    await page.press('Tab');
    await page.press('Enter');
    await page.until(`!document.querySelector('#branches').hidden && ${AT_REST}`);
    expect(await page.words('#trunk')).toBe(PROMPT);
    expect(await page.count('.branch:nth-of-type(2)')).toBeGreaterThan(20);
  });

  it('keeps the place of who goes by the keyboard, when a button is disabled or goes', async () => {
    const page = open();
    const focused = (): Promise<string> => page.evaluate("document.activeElement.id");
    const press = async (selector: string): Promise<void> => {
      await page.evaluate(`void (document.querySelector('#announce').textContent = '', document.querySelector('${selector}').focus())`);
      await page.press('Enter');
    };
    await page.set('length', '20');
    await page.set('pace', '120');
    await page.write();
    for (const id of ['continue', 'fork']) {
      await press(`#${id}`);
      await page.until("document.querySelector('#write').textContent === 'Stop'");
      expect(await focused()).toBe('write');
      await page.written();
      expect(await focused()).toBe('continue');
    }
    await press('.branch button');
    await page.until("document.querySelector('#announce').textContent === 'One way on is kept.'");
    expect(await focused()).toBe('story');
  });

  it('puts right what cannot be used, and writes, though the field may be folded away', async () => {
    const page = open();
    for (const [id, value, used] of [['length', '0', '1'], ['length', '', '220'], ['length', '2.5', '2'], ['repetition', '0', '0.5'], ['top-p', '7', '1'], ['seed', '-1', '0']] as const) {
      await page.evaluate(`{ const field = document.querySelector('#${id}'); field.value = '${value}'; field.dispatchEvent(new Event('change')); }`);
      expect(await page.value(id)).toBe(used);
    }
    await page.story();
    expect(await page.count()).toBe(2);
  });

  it('… and with a finger, on a phone', async () => {
    const page = open();
    await page.screen(390, 844, { phone: true });
    await page.story();
    await page.tap('#trunk .t:nth-of-type(30)');
    await page.until("document.querySelector('#card.is-pinned') && !document.querySelector('#card').hidden");
    await page.tap('#card > .link');
    await page.until(`document.querySelectorAll('.branch:nth-of-type(2) .t').length > 0 && ${AT_REST}`);
    await page.tap('#sure');
    expect(await page.evaluate("document.querySelector('#card').hidden")).toBe(true);
  });

  it('does what was asked for last, however fast', async () => {
    const page = open();
    for (const id of ['write', 'write', 'another', 'write', 'continue', 'fork', 'write']) await page.evaluate(`document.querySelector('#${id}').click()`);
    await page.evaluate("document.querySelector('#prompt').textContent = 'The cat'; document.querySelector('#pace').value = 'Infinity'");
    await page.click('#prompt');
    for (let n = 0; n < 3; n++) await page.press('Enter');
    await page.written();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const text = await page.words('#trunk');
    expect(text).toBe('The cat' + (await (async () => {
      const session = right.session();
      await session.append('The cat');
      return next(session, { ...OPTIONS, seed: await seed() });
    })()));
    expect(await page.evaluate("document.querySelector('#branches').hidden && document.querySelector('#trouble').hidden")).toBe(true);
  });

  testLooks(open);
});

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { TROUBLE, type ExamplePage } from './example-page.js';

/** Widths from the smallest phone on; 640 × 400 is a window of 1280 × 800 at 200 %. */
const SIZES = [[320, 568], [390, 844], [640, 400], [768, 1024], [1280, 800]] as const;

/** WCAG 2: text has a contrast of at least 4.5 to what is behind it; large text, 3. */
const CONTRASTS = `(() => {
  const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const parse = (color) => {
    const [a, b, c, alpha = 1] = color.match(/[\\d.]+(?:e-?\\d+)?/g).map(Number);
    return { rgb: color.startsWith('rgb') ? [a / 255, b / 255, c / 255] : [a, b, c], alpha };
  };
  const over = (top, below) => top.rgb.map((value, n) => value * top.alpha + below[n] * (1 - top.alpha));
  const behind = (element) => (element ? over(parse(getComputedStyle(element).backgroundColor), behind(element.parentElement)) : [1, 1, 1]);
  const contrast = (paint, back) => {
    const [light, dark] = [luminance(over(paint, back)), luminance(back)].sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() === '' || !element.checkVisibility({ opacityProperty: true }) || element.closest('.unseen, .skip, :disabled, noscript')) continue;
    const style = getComputedStyle(element);
    const ratio = contrast(parse(element instanceof SVGElement ? style.fill : style.color), behind(element));
    texts++;
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) poor.push(walker.currentNode.data.trim().slice(0, 30) + ': ' + ratio.toFixed(2));
  }
  // Where one may write is told by an edge: 3 (WCAG 2.1, non-text contrast).
  const prompt = document.querySelector('#prompt');
  const edge = contrast(parse(getComputedStyle(prompt).borderBottomColor), behind(prompt.parentElement));
  if (edge < 3) poor.push('the edge of the prompt: ' + edge.toFixed(2));
  return { texts, poor };
})()`;

/** What is beyond the left or the right edge of the window, or of the dialog that it is in. */
const OUTSIDE = `[...document.querySelectorAll('body *')].flatMap((element) => {
  if (!element.checkVisibility() || element.closest('.unseen, .skip, pre > *')) return []; // what is in a frame of its own is scrolled there
  const { left, right, width } = element.getBoundingClientRect();
  const frame = element.parentElement.closest('dialog')?.getBoundingClientRect() ?? { left: 0, right: document.documentElement.clientWidth };
  return width === 0 || (left >= frame.left - 0.5 && right <= frame.right + 0.5) ? [] : [element.tagName + '#' + element.id + '.' + element.className + ': ' + left + ' to ' + right];
})`;

/** Where the page's parts are, for all kinds of things that may be on it, one after the other. */
const STATES: readonly (readonly [name: string, reach: (page: ExamplePage, files: { readonly broken: string }) => Promise<void>])[] = [
  ['start', async () => {}],
  ['empty', async (page) => page.evaluate("void (document.querySelector('#prompt').textContent = '')")],
  ['long', async (page) => page.evaluate(`void (document.querySelector('#prompt').textContent = 'There was a lighthouse at the end of the world. '.repeat(20) + 'Lighthouse'.repeat(20))`)],
  ['ended', async (page) => {
    await page.tidy();
    await page.story();
  }],
  ['forked', async (page) => {
    await page.write('#fork');
    await page.click('#sure');
    await page.click('.branch .t:nth-of-type(9)');
    await page.until("document.querySelector('#card.is-pinned') && !document.querySelector('#card').hidden");
  }],
  ['settings', async (page) => {
    await page.press('Escape');
    await page.click('summary');
    await page.evaluate('scrollTo(0, 1e6)');
  }],
  ['writing', async (page) => {
    await page.tidy();
    await page.begin(20);
  }],
  ['loading', async (page) => {
    await page.tidy();
    await page.evaluate(`void (document.querySelector('#loading').hidden = false, document.querySelector('#loading-text').textContent = 'Fetching a-model-with-a-rather-long-name.gguf: 123.4 MB of 1,234.5 MB · 12.3 MB/s · 3 min left')`);
  }],
  ['trouble', async (page, { broken }) => {
    await page.evaluate("void (document.querySelector('#loading').hidden = true)");
    await page.drop(broken);
    await page.until(TROUBLE);
    await page.click('#trouble summary');
  }],
  ['dialog', async (page) => page.click('#model')],
  ['dialog-trouble', async (page) => {
    await page.set('address', `hf:${'nobody'.repeat(20)}`);
    await page.click('#address-form button');
    await page.until(TROUBLE);
    await page.click('#trouble summary');
  }],
];

/** In every state, at every size: all text can be read, light and dark, and nothing runs out sideways. @param folder for a picture of each. */
export async function expectLooks(page: ExamplePage, files: string, folder?: string): Promise<void> {
  const broken = join(files, 'this-is-no-model.gguf');
  await writeFile(broken, '<!doctype html>');
  for (const [name, reach] of STATES) {
    await page.screen(1280, 800);
    await reach(page, { broken });
    await expectState(page, name, folder);
  }
}

/** As `expectLooks`, for the state that the page is in. */
export async function expectState(page: ExamplePage, name: string, folder?: string): Promise<void> {
  for (const [width, height] of SIZES) {
    for (const dark of folder || width === 320 ? [false, true] : [false]) {
      const where = `${name}, ${width} px, ${dark ? 'dark' : 'light'}`;
      await page.screen(width, height, { dark, phone: width < 640 });
      await page.evaluate('new Promise(requestAnimationFrame).then(() => document.getAnimations().forEach((each) => each.effect.getTiming().iterations === Infinity ? each.cancel() : each.finish()))');
      if (folder || width === 320 || width === 1280) {
        const { texts, poor } = await page.evaluate<{ texts: number; poor: string[] }>(CONTRASTS);
        expect(texts, where).toBeGreaterThan(15);
        expect(poor, where).toEqual([]);
      }
      if (!dark) {
        expect(await page.evaluate(OUTSIDE), where).toEqual([]);
        expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth'), where).toBeLessThanOrEqual(0);
      }
      if (folder) await page.screenshot(join(folder, `${name}-${width}${dark ? '-dark' : ''}.png`));
    }
  }
}

/** How the page looks, and what it is to those who do not see it. */
export function testLooks(open: () => ExamplePage): void {
  it('everything that can be used has a name, and what is announced is little', async () => {
    const page = open();
    await page.evaluate(`void (globalThis.said = [], new MutationObserver(() => said.push(document.querySelector('#announce').textContent)).observe(document.querySelector('#announce'), { childList: true }))`);
    await page.story();
    expect(await page.evaluate('said')).toEqual(['', 'Writing.', expect.stringMatching(/^The story has ended, after \d+ tokens\.$/)]);
    await page.write('#fork');
    await page.click('summary');
    const { nodes } = (await page.tab.send('Accessibility.getFullAXTree')) as {
      nodes: { ignored: boolean; role?: { value: string }; name?: { value: string }; properties?: { name: string; value: { value: unknown } }[] }[];
    };
    const used = nodes.filter(({ ignored, role }) => !ignored && /^(button|textbox|checkbox|slider|spinbutton|combobox|group|region|complementary|image|progressbar)$/.test(role?.value ?? ''));
    const named = used.map(({ role, name }) => `${role!.value}: ${name?.value ?? ''}`);
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((text) => /: $/.test(text))).toEqual([]);
    for (const text of [
      'textbox: Beginning of the story', 'group: The story', 'button: Write', 'button: Continue both', 'slider: Boldness (temperature)', 'spinbutton: Story number (seed)',
      'region: One way on', 'region: Another way on', 'checkbox: Show how sure it was', 'combobox: Speed of writing', 'spinbutton: Length (tokens)',
    ]) {
      expect(named).toContain(text);
    }
  });

  it('shows where one may write: a field, also when it is empty', async () => {
    const page = open();
    const field = (): Promise<{ width: number; hint: string; cursor: string; edge: number; back: string }> => page.evaluate(`(() => {
      const prompt = document.querySelector('#prompt');
      const { cursor, borderBottomWidth, backgroundColor } = getComputedStyle(prompt);
      return { width: prompt.getBoundingClientRect().width, hint: getComputedStyle(prompt, '::before').content, cursor, edge: parseFloat(borderBottomWidth), back: backgroundColor };
    })()`);
    const full = await field();
    expect(full).toMatchObject({ hint: 'none', cursor: 'text' });
    expect(full.edge).toBeGreaterThanOrEqual(1);
    expect(full.back).not.toBe('rgba(0, 0, 0, 0)');
    await page.click('#prompt');
    await page.press('a', 2); // Ctrl: all of it
    await page.press('Backspace');
    const empty = await field();
    expect(empty.hint).toMatch(/Write a beginning/);
    expect(empty.width).toBeGreaterThan(100);
    await page.type('A cat');
    expect([await page.words('#prompt'), (await field()).hint]).toEqual(['A cat', 'none']);
  });

  it('shows the times on a scale, without the warm-up', async () => {
    const page = open();
    const { ticks, points, last } = await page.evaluate<{ ticks: [number, string][]; points: [number, number][]; last: string }>(`import('/app/times.js').then(({ Times }) => {
      const times = new Times();
      const token = (ms, isWarmUp) => ({ ms, isWarmUp });
      times.add(Array.from({ length: 16 }, () => token(300, true)), 32); // after a prompt of 16 tokens
      times.add(Array.from({ length: 96 }, (_, n) => token(n < 48 ? 1.25 : 1.5, false)), 128);
      times.draw(256);
      const plot = document.querySelector('#time-plot');
      const rules = [...plot.querySelectorAll('.axis, .grid')].map((rule) => Number(/^M\\S+ (\\S+)H/.exec(rule.getAttribute('d'))[1]));
      const labels = [...plot.querySelectorAll('text')].map((label) => label.textContent);
      return {
        ticks: rules.map((y, n) => [y, labels[n]]), last: labels.at(-1),
        points: plot.querySelector('.time').getAttribute('points').split(' ').map((point) => point.split(',').map(Number)),
      };
    })`);
    expect(ticks.map(([, text]) => text)).toEqual(['0', '1 ms', '2 ms']);
    expect(last).toBe('256 tokens');
    const [[zero], [one], [two]] = ticks as [[number, string], [number, string], [number, string]];
    expect(zero - one).toBeCloseTo(one - two);
    const read = points.map(([, y]) => (zero - y) / (zero - one));
    expect(read).toHaveLength(6);
    for (const [n, ms] of read.entries()) expect(ms).toBeCloseTo(n < 3 ? 1.25 : 1.5, 1);
    // The first one is that of the tokens from 32 to 48, of 256.
    const { left, right } = await page.evaluate<{ left: number; right: number }>("(() => { const [, left, right] = /^M(\\S+) \\S+H(\\S+)/.exec(document.querySelector('#time-plot .axis').getAttribute('d')); return { left: Number(left), right: Number(right) }; })()");
    expect(points[0]![0]).toBeCloseTo(left + ((right - left) * 40) / 256, 0);
  });

  it('has no movement for those who want none', async () => {
    const page = open();
    await page.screen(1280, 800, { reducedMotion: true });
    await page.begin(3);
    expect(await page.evaluate('document.getAnimations().length')).toBe(0);
    await page.click('#write');
  });
}

import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { NO_BROWSER } from './chromium.js';
import { withPage, type ExamplePage } from './example-page.js';

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
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() === '' || !element.checkVisibility({ opacityProperty: true }) || element.closest('.unseen, .skip, :disabled, noscript')) continue;
    const style = getComputedStyle(element);
    const back = behind(element);
    const paint = parse(element instanceof SVGElement ? style.fill : style.color);
    const [light, dark] = [luminance(over(paint, back)), luminance(back)].sort((x, y) => y - x);
    const ratio = (light + 0.05) / (dark + 0.05);
    texts++;
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) poor.push(walker.currentNode.data.trim().slice(0, 30) + ': ' + ratio.toFixed(2));
  }
  return { texts, poor };
})()`;

describe.skipIf(NO_BROWSER)(`the looks of the example page${NO_BROWSER}`, () => {
  const open = withPage();
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'matmulfree-page-'));
    console.log(`screenshots are in ${folder}`);
  });

  async function readable(page: ExamplePage): Promise<void> {
    const { texts, poor } = await page.evaluate<{ texts: number; poor: string[] }>(CONTRASTS);
    expect(texts).toBeGreaterThan(15);
    expect(poor).toEqual([]);
    expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0);
  }

  it.each([
    ['desktop', 1280, 800, { dark: false }], ['desktop-dark', 1280, 800, { dark: true }], ['phone', 390, 844, { phone: true }],
    ['phone-dark', 390, 844, { phone: true, dark: true }], ['small', 320, 568, { phone: true }],
  ] as const)('%s: is readable in all of its states, and fits', async (name, width, height, options) => {
    const page = open();
    let shots = 0;
    const look = async (): Promise<void> => {
      await page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished))");
      await readable(page);
      await page.screenshot(join(folder, `${name}-${++shots}.png`));
    };
    await page.screen(width, height, options);
    await page.evaluate("void (document.querySelector('#keep-seed').checked = true)"); // the same story each time
    await look();
    await page.set('pace', 'Infinity');
    await page.write();
    await look();
    await page.write('#fork');
    await page.click('#sure');
    await page.click('.branch .t:nth-of-type(9)');
    await page.until("document.querySelector('#card.is-pinned') && !document.querySelector('#card').hidden");
    await look();
    await page.press('Escape');
    await page.click('summary');
    await page.evaluate('scrollTo(0, 1e6)');
    await look();
    await page.click('#model');
    await look();
    await page.set('address', 'hf:nobody');
    await page.click('#address-form button');
    await page.until("!document.querySelector('#trouble').hidden");
    await page.click('#trouble summary');
    await look();
  });

  it('everything that can be used has a name, and what is announced is little', async () => {
    const page = open();
    await page.set('pace', 'Infinity');
    await page.evaluate(`void (globalThis.said = [], new MutationObserver(() => said.push(document.querySelector('#announce').textContent)).observe(document.querySelector('#announce'), { childList: true }))`);
    await page.write();
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
      'textbox: Beginning of the story', 'group: The story', 'button: Write', 'button: Continue both', 'slider: Temperature', 'spinbutton: Seed',
      'region: One way on', 'region: Another way on', 'checkbox: How sure it was', 'combobox: Pen',
    ]) {
      expect(named).toContain(text);
    }
  });

  it('has no movement for those who want none', async () => {
    const page = open();
    await page.screen(1280, 800, { reducedMotion: true });
    await page.click('#write');
    await page.until('document.querySelectorAll(".t").length > 3');
    expect(await page.evaluate('document.getAnimations().length')).toBe(0);
    await page.click('#write');
  });
});

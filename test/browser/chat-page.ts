import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ExamplePage } from './example-page.js';

export const PLAIN = 'Good evening.';
export const THOUGHTFUL = '<think>\nSomebody says hello. I should be friendly.\n</think>\n\nHello **you**, and good day!';
export const RICH = `## The area of a circle

It is **π r²**: everything *inside* the line. You need \`r\` alone.

1. Measure the radius \`r\`.
2. Square it:
   - r times r
   - nothing else
3. Multiply by **π**.

As a program:

\`\`\`python
def area(r):
    """Area of a circle."""
    return 3.14159 * r ** 2  # <b>not bold</b>
\`\`\`

> All circles are alike; only their sizes differ.

More about it: [the article](https://en.wikipedia.org/wiki/Circle).`;
export const HOSTILE = `<img src=x onerror="globalThis.pwned=1"> and <script>globalThis.pwned=2</script>

[click](javascript:globalThis.pwned=3) [data](data:text/html,x) [https://bank.example](https://evil.example/) <svg/onload=globalThis.pwned=4> https://user:secret@evil.example/

- *<b onmouseover=alert(5)>*
- **[a](JAVASCRIPT:alert(6))** \`<i>\`

\`\`\`html
<iframe src="javascript:parent.pwned=7">${'wide'.repeat(200)}</iframe>
\`\`\`

${'Supercalifragilistic'.repeat(100)}`;

const link = (href: string, words: string, host?: string): string => {
  const made = `<a href="${href}" target="_blank" rel="noopener noreferrer nofollow" referrerpolicy="no-referrer">${words}</a>`;
  return host === undefined ? made : `<span>${made}<span class="note"> (${host})</span></span>`;
};

/** What becomes of some texts, without the direction that all paragraphs have. */
export const MARKS: readonly (readonly [text: string, html: string])[] = [
  ['a **b** _c_ *d* `e<f>` ~~g~~', '<p>a <strong>b</strong> <em>c</em> <em>d</em> <code>e&lt;f&gt;</code> <del>g</del></p>'],
  ['2 * 3 * 4, a_b_c, ** no **, 5*', '<p>2 * 3 * 4, a_b_c, ** no **, 5*</p>'],
  ['**a *b* c** \\*d\\*', '<p><strong>a <em>b</em> c</strong> *d*</p>'],
  ['``a`b`` `` ` ``', '<p><code>a`b</code> <code>`</code></p>'],
  ['see https://a.example/b_c_d. And (https://e.example)', `<p>see ${link('https://a.example/b_c_d', 'https://a.example/b_c_d')}. And (${link('https://e.example/', 'https://e.example')})</p>`],
  ['[a](https://b.example/c) [d](/e) [f](ftp://g)', `<p>${link('https://b.example/c', 'a', 'b.example')} [d](/e) [f](ftp://g)</p>`],
  ['[a]( javascript:b) [c](java\tscript:d) [e](vbscript:f) [g](https:javascript)', '<p>[a]( javascript:b) [c](java\tscript:d) [e](vbscript:f) [g](https:javascript)</p>'],
  ['# a\n## b ##\n### c\n#d', '<h3>a</h3><h4>b</h4><h5>c</h5><p>#d</p>'],
  ['a\n\n---\nb', '<p>a</p><hr><p>b</p>'],
  ['- a\n- b\n  - c\n\n  d\n\n3. e\n4. f', '<ul><li><p>a</p></li><li><p>b</p><ul><li><p>c</p></li></ul><p>d</p></li></ul><ol start="3"><li><p>e</p></li><li><p>f</p></li></ol>'],
  ['> a\n> b\n\nc', '<blockquote><p>a\nb</p></blockquote><p>c</p>'],
  ['&lt;b&gt; <!-- a --> &#60;', '<p>&amp;lt;b&amp;gt; &lt;!-- a --&gt; &amp;#60;</p>'],
];

export interface ChatPage extends ExamplePage {
  /** Writes into the field, sends it, and waits for the answer. */
  say(text: string): Promise<void>;
  atRest(): Promise<void>;
  /** A seed with which the first word is one of a thought, or not. */
  seedOf(kind: 'thought' | 'plain'): Promise<string>;
}

const AT_REST = "document.querySelector('#send').textContent === 'Send'";

/** The page with a model of `folder`, and nothing said. */
export async function chatDriver(page: ExamplePage, folder: string, name: string): Promise<ChatPage> {
  const files = readdirSync(join(folder, name)).map((file) => join(folder, name, file));
  await page.evaluate("void (document.querySelector('#model-name').textContent = 'before')");
  await page.drop(...files);
  await page.until("document.querySelector('#model-name').textContent !== 'before' && document.querySelector('#said').checkVisibility()");
  await page.evaluate("void (document.querySelector('#said').value = '', document.querySelector('#think').checked = true, document.querySelector('#keep-seed').checked = true)");
  await page.evaluate("document.querySelector('#said').focus()");
  const chat: ChatPage = {
    ...page,
    async say(text) {
      const before = await page.evaluate<number>("document.querySelectorAll('.exchange').length");
      await page.evaluate("document.querySelector('#said').focus()");
      await page.evaluate(`void (document.querySelector('#said').value = ${JSON.stringify(text)})`);
      await page.press('Enter');
      await page.until(`document.querySelectorAll('.exchange').length > ${before}`);
      await chat.atRest();
    },
    atRest: () => page.until(AT_REST),
    async seedOf(kind) {
      for (let seed = 1; seed < 20; seed++) {
        await page.set('seed', String(seed));
        await chat.say('?');
        const thinks = await page.evaluate<boolean>("document.querySelector('.exchange:last-child .thought') !== null");
        await page.evaluate("document.querySelector('#anew').click()");
        await page.until("document.querySelectorAll('.exchange').length === 0");
        if (thinks === (kind === 'thought')) return String(seed);
      }
      throw new Error(`no seed for ${kind}`);
    },
  };
  return chat;
}

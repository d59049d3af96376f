import type { ChatPage } from './chat-page.js';
import { expectState } from './looks.js';

/** Which model, and what is done with it; one after the other. */
const STATES: readonly (readonly [name: string, model: string, reach: (page: ChatPage) => Promise<void>])[] = [
  ['chat-start', 'thoughtful', async () => {}],
  ['chat-answer', 'rich', async (page) => page.say('How large is a circle? I know its radius, and have Python here.')],
  ['chat-long', 'rich', async (page) => {
    for (const text of ['How large is a circle?', 'And a square, a triangle, a hexagon?\nPlease tell me all of them, one after the other.', `Supercalifragilistic${'expialidocious'.repeat(20)}`]) await page.say(text);
  }],
  ['chat-thought', 'thoughtful', async (page) => {
    await page.set('seed', await page.seedOf('thought'));
    await page.say('Hello there!');
    await page.click('.thought summary');
  }],
  ['chat-forked', 'thoughtful', async (page) => {
    const seeds = [await page.seedOf('thought'), await page.seedOf('plain')];
    await page.set('seed', seeds[0]!);
    await page.say('Hello there!');
    await page.set('seed', seeds[1]!);
    await page.click('.answer .actions .link');
    await page.until("document.querySelectorAll('.branch').length === 2");
    await page.atRest();
  }],
  ['chat-edit', 'thoughtful', async (page) => {
    await page.say('Hello there! What do you think of the weather, and of those who talk about it?');
    await page.click('.said .link');
  }],
  ['chat-hostile', 'hostile', async (page) => page.say('Show me.')],
  ['chat-settings', 'thoughtful', async (page) => {
    await page.say('Hello');
    await page.click('summary');
    await page.evaluate('scrollTo(0, 1e6)');
  }],
  ['chat-writing', 'endless', async (page) => {
    await page.set('length', '10000');
    await page.type('Talk');
    await page.press('Enter');
    await page.until("document.querySelector('.prose')?.textContent.length > 300");
  }],
];

/** In every state, at every size: all text can be read, light and dark, and nothing runs out sideways. @param folder for a picture of each. */
export async function expectChatLooks(start: (model: string) => Promise<ChatPage>, folder: string): Promise<void> {
  for (const [name, model, reach] of STATES) {
    const page = await start(model);
    await page.screen(1280, 800);
    await page.evaluate("void (document.querySelector('.settings details').open = false)");
    await reach(page);
    await expectState(page, name, folder);
  }
}

/* The page: puts its parts together. strand.ts is where the model is used. */
import { BackendError } from 'matmulfree/worker';
import { Card } from './card.js';
import { offerModels } from './chooser.js';
import { follow, watchDock } from './dock.js';
import { Meter } from './meter.js';
import { EMBEDDED, Models, type LoadedModel } from './models.js';
import { keepForOffline } from './offline.js';
import { announce, element } from './page.js';
import { Plots } from './plots.js';
import { pointAtTokens } from './pointing.js';
import { nextSeed, readSettings, watchSettings } from './settings.js';
import { Story } from './story.js';
import type { Strand, Token } from './strand.js';
import { clearTrouble, inPlainWords, showTrouble } from './trouble.js';
import { count } from './words.js';

const BEGINNINGS = [
  'Once upon a time, there was a little robot who', 'The dragon was very small, and nobody', 'One rainy morning, Lily found a key under',
  'Deep in the forest, an old tree began to', 'Tom wanted to fly, so he', 'There was a mouse who lived in a piano. Every night',
  'The moon was tired. It', '"Do not open the box," said the cat. But',
];
/** The rate is that of the last tokens. */
const RATE_TOKENS = 64;
const RATE_MS = 250;

const prompt = element('prompt');
const [write, goOn, fork] = ['write', 'continue', 'fork'].map((id) => element<HTMLButtonElement>(id)) as [HTMLButtonElement, HTMLButtonElement, HTMLButtonElement];
const beginning = (): string => prompt.innerText.trim();

const plots = new Plots();
const recent: number[] = [];
let lastRate = 0;
let written = '';
let isFirst = true;
/** Writing has begun with a button that cannot be used meanwhile, and goes back when it is over. */
let returnsFocus = false;
const texts = new Map<number, Promise<string>>();

const models = new Models(async ({ lm, info }: LoadedModel, isAgain) => {
  if (isAgain) return story.moveTo(lm);
  texts.clear();
  plots.setModel({ layers: lm.config.layers, hiddenSize: lm.config.hiddenSize, stateBytes: info.stateBytes, stateBytesPerToken: info.stateBytesPerToken });
  await story.clear(); // it was another model's
});

const story = new Story(new Meter(), {
  onChange: showState,
  onTokens,
  onEnd(results) {
    const length = story.strand?.tokens.length ?? 0;
    const [last] = results.filter((result) => result !== undefined);
    const how = !last ? 'Stopped' : last.finishReason === 'eos' ? 'The story has ended' : 'Enough for now';
    // The model's own time, without its way to the page.
    if (last && results.length === 1 && last.newTokens >= RATE_TOKENS) showRate((1000 * last.newTokens) / last.decodeMs);
    announce(`${how}, after ${length} tokens.`);
  },
  onError(error) {
    showTrouble(inPlainWords(error), error instanceof BackendError ? () => void models.reload() : undefined);
  },
});

const card = new Card({
  obstacle: (passage) => (story.isForked && passage === story.passages[0] ? 'Keep one of the two ways on, and you can go another way from here.' : undefined),
  async textOf(id) {
    const model = await models.get();
    if (!texts.has(id)) texts.set(id, model ? model.lm.tokenizer.decode([id]) : Promise.resolve(''));
    return texts.get(id)!;
  },
  onFork(passage, index, token) {
    pointing.forget();
    nextSeed();
    void story.forkAt(passage, index, token, readSettings());
  },
});
const pointing = pointAtTokens(story, card);

function onTokens(strand: Strand, tokens: readonly Token[]): void {
  if (strand.tokens.length === tokens.length) performance.mark('first-token');
  plots.add(tokens, strand.promptTokens + strand.tokens.length);
  recent.push(...tokens.map(({ ms }) => ms));
  recent.splice(0, recent.length - RATE_TOKENS);
  const now = performance.now();
  if (now - lastRate < RATE_MS) return;
  lastRate = now;
  showRate((1000 * recent.length) / recent.reduce((sum, ms) => sum + ms, 0));
  follow(story.passageOf(strand).element);
}

function showRate(perSecond: number): void {
  element('rate').textContent = perSecond < 10 ? perSecond.toFixed(1) : count(Math.round(perSecond));
}

/** What the buttons do, and whether they can. */
function showState(): void {
  const isStale = !story.isEmpty && beginning() !== written;
  element('story').classList.toggle('is-stale', isStale && !story.isWriting);
  element('story').setAttribute('aria-busy', String(story.isWriting));
  write.textContent = story.isWriting ? 'Stop' : 'Write';
  write.disabled = false;
  keepFocus();
  goOn.textContent = story.unfinished.length > 1 ? 'Continue both' : 'Continue';
  goOn.disabled = story.isWriting || story.isEmpty || isStale;
  fork.textContent = story.hasEnded ? 'New ending' : 'Two ways on';
  fork.disabled = goOn.disabled;
  fork.hidden = story.isForked;
  if (!story.isWriting) giveFocusBack();
}

/** A button that is disabled loses the focus, and who goes by the keyboard their place: while the model writes, it is on Stop. */
function keepFocus(): void {
  if (!story.isWriting || (document.activeElement !== goOn && document.activeElement !== fork)) return;
  write.focus({ preventScroll: true });
  returnsFocus = true;
}

function giveFocusBack(): void {
  if (returnsFocus && document.activeElement === write && !goOn.disabled) goOn.focus({ preventScroll: true });
  returnsFocus = false;
}

async function writeStory(): Promise<void> {
  pointing.forget();
  clearTrouble();
  // There is none where loading was cancelled, or failed.
  const model = (await models.get()) ?? (await models.reload(), await models.get());
  if (!model) return;
  if (!isFirst) nextSeed();
  isFirst = false;
  written = beginning();
  plots.reset();
  announce('Writing.');
  await story.begin(model.lm, written, readSettings());
}

element('controls').addEventListener('submit', (event) => {
  event.preventDefault();
  void (story.isWriting ? story.stop() : writeStory());
});
goOn.addEventListener('click', () => {
  nextSeed();
  void story.goOn(readSettings());
});
fork.addEventListener('click', () => {
  nextSeed();
  void story.fork(readSettings());
});
element('sure').addEventListener('change', ({ target }) => {
  const { checked } = target as HTMLInputElement;
  element('story').classList.toggle('shows-sure', checked);
  element('legend').hidden = !checked;
});
element('another').addEventListener('click', () => {
  const at = BEGINNINGS.indexOf(beginning());
  prompt.textContent = BEGINNINGS[(at + 1) % BEGINNINGS.length]!;
  showState();
  announce(prompt.textContent);
});
prompt.addEventListener('input', showState);
prompt.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  void story.stop().then(writeStory);
});
if (prompt.contentEditable !== 'plaintext-only') {
  prompt.contentEditable = 'true'; // an older browser
  prompt.addEventListener('paste', (event) => {
    event.preventDefault();
    document.execCommand('insertText', false, event.clipboardData?.getData('text/plain') ?? '');
  });
}

// What nobody expected is told too.
addEventListener('unhandledrejection', ({ reason }) => showTrouble(inPlainWords(reason)));
element('asleep').hidden = true;
watchSettings();
watchDock();
offerModels((wish) => void models.load(wish));
showState();
await models.load(EMBEDDED);
await keepForOffline();

import { Card } from './card.js';
import { follow } from './dock.js';
import { isSending } from './field.js';
import { Meter } from './meter.js';
import type { Mode, Page } from './mode.js';
import { announce, element } from './page.js';
import { pointAtTokens } from './pointing.js';
import { nextSeed, readSettings } from './settings.js';
import { Story } from './story.js';
import type { Strand, Token } from './strand.js';
import { clearTrouble } from './trouble.js';

const BEGINNINGS = [
  'Once upon a time, there was a little robot who', 'The dragon was very small, and nobody', 'One rainy morning, Lily found a key under',
  'Deep in the forest, an old tree began to', 'Tom wanted to fly, so he', 'There was a mouse who lived in a piano. Every night',
  'The moon was tired. It', '"Do not open the box," said the cat. But',
];

/** The story with its field and buttons. */
export function storyControls({ plots, rate, model, showError }: Page): Mode {
  const prompt = element('prompt');
  const [write, goOn, fork] = ['write', 'continue', 'fork'].map((id) => element<HTMLButtonElement>(id)) as [HTMLButtonElement, HTMLButtonElement, HTMLButtonElement];
  const beginning = (): string => prompt.innerText.trim();
  const texts = new Map<number, Promise<string>>();
  let written = '';
  let isFirst = true;
  /** Writing has begun with a button that cannot be used meanwhile, and goes back when it is over. */
  let returnsFocus = false;

  const story = new Story(new Meter(), {
    onChange: showState,
    onTokens,
    onEnd(results) {
      const length = story.strand?.tokens.length ?? 0;
      const [last] = results.filter((result) => result !== undefined);
      const how = !last ? 'Stopped' : last.finishReason === 'eos' ? 'The story has ended' : 'Enough for now';
      if (last && results.length === 1) rate.finish(last);
      announce(`${how}, after ${length} tokens.`);
    },
    onError: showError,
  });

  const card = new Card({
    obstacle: (passage) => (story.isForked && passage === story.passages[0] ? 'Keep one of the two ways on, and you can go another way from here.' : undefined),
    async textOf(id) {
      const loaded = await model();
      if (!texts.has(id)) texts.set(id, loaded ? loaded.lm.tokenizer.decode([id]) : Promise.resolve(''));
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
    if (rate.add(tokens.map(({ ms }) => ms))) follow(story.passageOf(strand).element);
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
    const loaded = await model();
    if (!loaded) return;
    if (!isFirst) nextSeed();
    isFirst = false;
    written = beginning();
    plots.reset();
    announce('Writing.');
    await story.begin(loaded.lm, written, readSettings());
  }

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
    if (!isSending(event)) return;
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
  showState();

  return {
    name: 'story',
    length: 220,
    submit: () => void (story.isWriting ? story.stop() : writeStory()),
    async clear() {
      texts.clear();
      await story.clear();
    },
    moveTo: (lm) => story.moveTo(lm),
  };
}

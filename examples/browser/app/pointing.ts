import type { Card } from './card.js';
import { announce, element } from './page.js';
import type { Passage } from './passage.js';
import type { Story } from './story.js';
import { percent, visible } from './words.js';

/** Pointing at a token, with a mouse, a finger or the arrow keys, shows its card. */
export function pointAtTokens(story: Story, card: Card): { forget(): void } {
  const area = element('story');
  const prompt = element('prompt');
  let chosen: { readonly passage: Passage; readonly index: number } | undefined;

  const forget = (): void => {
    if (chosen) chosen.passage.at(chosen.index)?.classList.remove('is-chosen');
    chosen = undefined;
    card.hide();
  };
  const find = (target: EventTarget | null): typeof chosen => {
    if (!(target instanceof Element) || !target.classList.contains('t')) return undefined;
    for (const passage of story.passages) {
      const index = passage.indexOf(target);
      if (index !== undefined) return { passage, index };
    }
    return undefined;
  };
  const choose = (found: NonNullable<typeof chosen>, isPinned: boolean): void => {
    const token = story.tokenAt(found.passage, found.index);
    const span = found.passage.at(found.index);
    if (!token || !span) return;
    forget();
    chosen = found;
    span.classList.add('is-chosen');
    void card.show(token, span, { ...found, isPinned }).catch(forget); // the model may be gone
  };

  let [lastX, lastY] = [0, 0];
  area.addEventListener('pointermove', (event) => {
    // Words that are written below a mouse at rest are not pointed at.
    const isMoved = event.clientX !== lastX || event.clientY !== lastY;
    [lastX, lastY] = [event.clientX, event.clientY];
    if (event.pointerType !== 'mouse' || card.isPinned || !isMoved) return;
    const found = find(event.target);
    if (!found) forget();
    else if (found.passage !== chosen?.passage || found.index !== chosen.index) choose(found, false);
  });
  area.addEventListener('pointerleave', () => {
    if (!card.isPinned) forget();
  });
  document.addEventListener('click', (event) => {
    const found = find(event.target);
    if (found) choose(found, true);
    else if (event.target instanceof Element && !event.target.closest('#card')) forget();
  });

  /** Over all passages, one after the other. */
  const step = (by: number): void => {
    const { passages } = story;
    const places = passages.flatMap((passage) => Array.from({ length: passage.end - passage.start }, (_, n) => ({ passage, index: passage.start + n })));
    const now = places.findIndex(({ passage, index }) => passage === chosen?.passage && index === chosen.index);
    const to = now >= 0 || !Number.isFinite(by) ? Math.max(0, now) + by : by > 0 ? 0 : Infinity;
    const next = places[Math.min(places.length - 1, Math.max(0, to))];
    if (!next) return;
    choose(next, false);
    next.passage.at(next.index)?.scrollIntoView({ block: 'nearest' });
    const { id, text, logprob, topLogprobs } = story.tokenAt(next.passage, next.index)!;
    const place = topLogprobs.findIndex(({ id: other }) => other === id);
    announce(`${visible(text)}, ${percent(Math.exp(logprob))}${place < 0 ? '' : `, choice ${place + 1}`}`);
  };
  area.addEventListener('keydown', (event) => {
    if (event.target === prompt) return;
    if (event.target !== area) return; // a button in a branch
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10, Home: -Infinity, End: Infinity }[event.key];
    if (by !== undefined) step(by);
    else if (event.key === 'Enter' && chosen) card.enter(chosen);
    else return;
    event.preventDefault();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !chosen) return;
    if (card.hasFocus) area.focus();
    forget();
  });
  return { forget };
}

import { create, element } from './page.js';
import type { Passage } from './passage.js';
import type { Token } from './strand.js';
import { percent, visible } from './words.js';

export interface CardPlace {
  readonly passage: Passage;
  readonly index: number;
  /** It stays, and can be used. */
  readonly isPinned: boolean;
}

interface CardEvents {
  /** Why the story cannot be forked at a place of this passage; undefined: it can. */
  obstacle(passage: Passage): string | undefined;
  /** The text of a token alone. */
  textOf(id: number): Promise<string>;
  /** @param token the id that is to come there instead. */
  onFork(passage: Passage, index: number, token: number | undefined): void;
}

/** How probable a token was, and what else was: each of these begins another story. */
export class Card {
  isPinned = false;
  private readonly box = element('card');
  private readonly events: CardEvents;
  private shown: Token | undefined;
  private span: HTMLElement | undefined;

  constructor(events: CardEvents) {
    this.events = events;
    addEventListener('resize', () => {
      if (this.span && !this.box.hidden) this.place(this.span);
    });
  }

  get hasFocus(): boolean {
    return this.box.contains(document.activeElement);
  }

  async show(token: Token, span: HTMLElement, { passage, index, isPinned }: CardPlace): Promise<void> {
    this.isPinned = isPinned;
    this.shown = token;
    this.span = span;
    const texts = await Promise.all(token.topLogprobs.map(({ id }) => this.events.textOf(id)));
    if (this.shown !== token) return; // another one, meanwhile, or none
    this.box.classList.toggle('is-pinned', this.isPinned);
    const obstacle = this.events.obstacle(passage);
    const fork = (text: string, className: string, id?: number): HTMLButtonElement => {
      const button = create('button', className, text);
      button.type = 'button';
      button.disabled = obstacle !== undefined;
      button.addEventListener('click', () => this.events.onFork(passage, index, id));
      return button;
    };
    const head = create('p', 'card-head');
    head.append(create('strong', '', visible(token.text)), ` ${percent(Math.exp(token.logprob))}`);
    const list = create('ol');
    for (const [n, other] of token.topLogprobs.entries()) {
      const [text, share] = [visible(texts[n]!), percent(Math.exp(other.logprob))];
      const row = fork('', 'row', other.id);
      const bar = create('span', 'share');
      bar.style.width = `${100 * Math.exp(other.logprob)}%`;
      row.append(bar, create('span', 'text', text), create('span', 'number', share));
      if (other.id === token.id) row.classList.add('is-taken');
      row.setAttribute('aria-label', `${text}, ${share}: go on with it`);
      list.appendChild(create('li')).append(row);
    }
    const foot = obstacle === undefined ? fork('Another way from here', 'link') : create('p', 'note', obstacle);
    this.box.replaceChildren(head, list, foot);
    this.box.hidden = false;
    this.place(span);
  }

  hide(): void {
    this.shown = this.span = undefined;
    this.box.hidden = true;
    this.isPinned = false;
  }

  /** To its first button, for those who use the keyboard. */
  enter({ passage, index }: { readonly passage: Passage; readonly index: number }): void {
    const span = passage.at(index);
    if (!span) return;
    this.isPinned = true;
    this.box.classList.add('is-pinned');
    this.box.querySelector<HTMLButtonElement>('button:enabled')?.focus({ preventScroll: true });
  }

  /** Below the token, or above it where there is no room; never beyond the edges. */
  private place(span: HTMLElement): void {
    const lines = [...span.getClientRects()].filter(({ width }) => width > 0);
    const rect = lines.at(-1) ?? span.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.box;
    const { clientWidth, clientHeight } = document.documentElement;
    const left = Math.min(Math.max(8, rect.left + rect.width / 2 - width / 2), clientWidth - width - 8);
    const isBelow = rect.bottom + 8 + height <= clientHeight || rect.top - 8 - height < 0;
    const top = isBelow ? rect.bottom + 8 : rect.top - 8 - height;
    this.box.style.left = `${left + scrollX}px`;
    this.box.style.top = `${top + scrollY}px`;
  }
}

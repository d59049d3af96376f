import { create } from './page.js';
import type { Token } from './strand.js';

/** From these probabilities down, a token counts as less and less sure (`data-p` 1 to 4). */
const LEVELS = [0.5, 0.2, 0.05, 0.01];
/** A paragraph that is longer ends with its sentence: browsers lay out all of a paragraph when a word is added to it. */
const LONG_PARAGRAPH = 400;

/** Tokens of a story on the page, from one of them on: each an element, so that it can be pointed at. */
export class Passage {
  readonly element: HTMLElement;
  private readonly from: number;
  private readonly shown: HTMLElement[] = [];
  private paragraph: HTMLElement;
  private inParagraph = 0;
  private isEnded = false;

  /** @param element what holds the paragraphs; it may have one already. @param from how many tokens came before. */
  constructor(element: HTMLElement, from = 0) {
    this.element = element;
    this.from = from;
    this.paragraph = element.querySelector('p') ?? element.appendChild(create('p'));
  }

  /** @param isFading they appear softly: for a few at a time. */
  add(tokens: readonly Token[], isFading = false): void {
    let fragment = document.createDocumentFragment();
    for (const token of tokens) {
      if (this.isEnded) {
        this.paragraph.append(fragment);
        fragment = document.createDocumentFragment();
        this.paragraph = this.element.appendChild(create('p'));
        this.inParagraph = 0;
      }
      // What a token begins with, most often a space, is not part of what is pointed at, or tinted.
      const word = token.text.trimStart() || token.text;
      const span = create('span', isFading ? 't fresh' : 't', word);
      span.dataset['p'] = String(LEVELS.filter((level) => Math.exp(token.logprob) < level).length);
      this.shown.push(span);
      const space = token.text.slice(0, token.text.length - word.length);
      if (this.paragraph.hasChildNodes() || fragment.hasChildNodes()) fragment.append(space);
      fragment.append(span);
      this.inParagraph++;
      this.isEnded = /\n$/.test(token.text) || (this.inParagraph > LONG_PARAGRAPH && /[.!?]["”]?$/.test(token.text));
    }
    this.paragraph.append(fragment);
  }

  /** Takes away the tokens from this one on. */
  cut(at: number): void {
    for (const span of this.shown.splice(at - this.from)) {
      if (span.previousSibling instanceof Text) span.previousSibling.remove();
      span.remove();
    }
    for (const paragraph of this.element.querySelectorAll('p + p:empty')) paragraph.remove();
    this.paragraph = this.element.lastElementChild as HTMLElement;
    this.inParagraph = this.paragraph.childElementCount;
    this.isEnded = /\n$/.test(this.shown.at(-1)?.textContent ?? '');
  }

  /** Which token an element is; undefined if it is none of this passage. */
  indexOf(target: Element): number | undefined {
    const index = this.shown.indexOf(target as HTMLElement);
    return index < 0 ? undefined : index + this.from;
  }

  at(index: number): HTMLElement | undefined {
    return this.shown[index - this.from];
  }

  get start(): number {
    return this.from;
  }

  /** How many tokens of the story there are with it. */
  get end(): number {
    return this.from + this.shown.length;
  }
}

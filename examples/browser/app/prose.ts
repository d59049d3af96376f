import { inline } from './inline.js';
import { parseBlocks, type Block } from './markdown.js';
import { create } from './page.js';

/** What is written again with each piece: with more of it, less often. */
const MS_PER_CHARACTER = 0.01;

/**
 * An answer on the page while it is written. All of it becomes text in elements that are made here: nothing of it is ever markup. Only its last
 * block is made anew when something is added.
 */
export class Prose {
  readonly element: HTMLElement;
  /** Lines of the block that may still change. */
  private open = '';
  private shown: HTMLElement[] = [];
  private frame = 0;
  private last = -Infinity;

  constructor(element: HTMLElement) {
    this.element = element;
  }

  /** Added with the next frame. */
  add(text: string): void {
    this.open += text;
    this.frame ||= requestAnimationFrame(this.draw);
  }

  /** All of it, at once. */
  finish(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.write();
  }

  private readonly draw = (now: number): void => {
    const isDue = now - this.last >= this.open.length * MS_PER_CHARACTER;
    this.frame = isDue ? 0 : requestAnimationFrame(this.draw);
    if (!isDue) return;
    this.last = now;
    this.write();
  };

  private write(): void {
    const lines = this.open.split('\n');
    const blocks = parseBlocks(lines);
    for (const element of this.shown) element.remove();
    this.shown = [];
    const elements = blocks.map(({ block }) => elementOf(block));
    this.element.append(...elements);
    const last = blocks.at(-1);
    if (!last) return;
    this.shown = elements.filter((_, n) => blocks[n]!.from === last.from);
    this.open = lines.slice(last.from).join('\n');
  }
}

function elementOf(block: Block): HTMLElement {
  switch (block.kind) {
    case 'paragraph': return withText('p', block.text);
    // Below the page's own headings, and those of the conversation.
    case 'heading': return withText(block.level === 1 ? 'h3' : block.level === 2 ? 'h4' : 'h5', block.text);
    case 'rule': return create('hr');
    case 'quote': {
      const quote = create('blockquote');
      quote.append(...block.blocks.map(elementOf));
      return quote;
    }
    case 'list': {
      const list = create(block.first === undefined ? 'ul' : 'ol');
      if (list instanceof HTMLOListElement) list.start = block.first!;
      for (const item of block.items) list.appendChild(create('li')).append(...item.map(elementOf));
      return list;
    }
    case 'code': return codeElement(block.language, block.text);
  }
}

function withText(name: 'p' | 'h3' | 'h4' | 'h5', text: string): HTMLElement {
  const made = create(name);
  made.dir = 'auto'; // and what is written from right to left does not turn what is around it
  made.append(inline(text));
  return made;
}

function codeElement(language: string, text: string): HTMLElement {
  const box = create('figure', 'code');
  const head = create('figcaption', '', language || 'Code');
  const frame = create('pre');
  frame.tabIndex = 0; // so that it can be scrolled with the keyboard
  frame.role = 'region';
  frame.ariaLabel = language ? `Code, ${language}` : 'Code';
  frame.append(create('code', '', text));
  head.append(copyButton(() => text));
  box.append(head, frame);
  return box;
}

export function copyButton(text: () => string): HTMLButtonElement {
  const button = create('button', 'link', 'Copy');
  button.type = 'button';
  button.addEventListener('click', () => {
    navigator.clipboard.writeText(text()).then(() => { button.textContent = 'Copied'; }, () => { button.textContent = 'Copying is not allowed here'; });
  });
  return button;
}

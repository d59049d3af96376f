import { inline } from './inline.js';
import { parseBlocks, type Block, type Placed } from './markdown.js';
import { button, create } from './page.js';

/** What is written again with each piece: with more of it, less often. */
const MS_PER_CHARACTER = 0.01;

/** A block on the page that may still change. */
interface Shown extends Placed {
  readonly element: HTMLElement;
}

/**
 * An answer on the page while it is written. All of it becomes text in elements that are made here: nothing of it is ever markup. Only its last
 * block is made anew when something is added.
 */
export class Prose {
  readonly element: HTMLElement;
  /** The text of what may still change. */
  private open = '';
  private shown: Shown[] = [];
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
    const shown = parseBlocks(lines).map((placed, n) => ({ ...placed, element: grown(this.shown[n], placed.block) ?? elementOf(placed.block) }));
    for (const { element } of this.shown) if (!shown.some((each) => each.element === element)) element.remove();
    for (const [n, { element }] of shown.entries()) if (element !== this.shown[n]?.element) this.element.append(element);
    // Before the last block of whole lines, nothing changes any more. A line that is not whole may yet become anything.
    const settled = parseBlocks(lines.slice(0, -1)).at(-1)?.from ?? 0;
    this.shown = shown.filter(({ from }) => from >= settled);
    this.open = lines.slice(settled).join('\n');
  }
}

/** The element of a block that is the same, or code that has only grown: what its reader has scrolled or selected there stays. */
function grown(before: Shown | undefined, block: Block): HTMLElement | undefined {
  if (block.kind === 'code' && before?.block.kind === 'code' && before.block.language === block.language) before.element.querySelector('code')!.textContent = block.text;
  else if (JSON.stringify(before?.block) !== JSON.stringify(block)) return undefined;
  return before?.element;
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
  const code = frame.appendChild(create('code', '', text));
  head.append(copyButton(() => code.textContent ?? ''));
  box.append(head, frame);
  return box;
}

export function copyButton(text: () => string): HTMLButtonElement {
  const copy = button('Copy', () => void (async () => {
    try {
      await navigator.clipboard.writeText(text()); // there is none where a page is not secure
      copy.textContent = 'Copied';
    } catch {
      copy.textContent = 'Copying is not allowed here';
    }
  })());
  return copy;
}

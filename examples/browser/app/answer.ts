import type { AnswerPiece } from 'matmulfree/worker';
import type { Answered } from './dialogue.js';
import { create } from './page.js';
import { copyButton, Prose } from './prose.js';
import { duration } from './words.js';

/** An answer on the page: the thought before it, folded, and what is said. */
export class AnswerView {
  readonly element = create('div', 'answer');
  private readonly text = create('div', 'prose');
  private readonly prose = new Prose(this.text);
  private readonly foot = create('p', 'actions');
  private readonly wait = create('p', 'wait', 'Reading…');
  private thought: { readonly box: HTMLDetailsElement; readonly head: HTMLElement; readonly words: Text; readonly since: number } | undefined;
  private written = '';

  constructor() {
    this.element.append(this.wait, this.text, this.foot);
  }

  add({ type, text }: AnswerPiece): void {
    this.wait.remove();
    if (type === 'thinking') return this.think(text);
    this.endThought();
    this.written += text;
    this.prose.add(text);
  }

  /** @param answered what the model has: where it was stopped, that may be a piece more than what is here. @param most tokens that it might have. */
  finish({ text = '', result }: Answered, most: number): void {
    this.wait.remove();
    this.endThought();
    if (text.startsWith(this.written)) this.prose.add(text.slice(this.written.length));
    this.written = text;
    this.prose.finish();
    const how = !result ? 'Stopped.' : result.finishReason === 'length' ? `Cut off after ${most} tokens; there is a setting for that.` : text.trim() === '' ? 'Nothing was said.' : '';
    if (text.trim() !== '') this.foot.append(copyButton(() => text));
    if (how !== '') this.foot.append(create('span', 'note', how));
  }

  /** What can be done with it. */
  addAction(button: HTMLElement): void {
    this.foot.prepend(button);
  }

  /** What was said, for those who listen. */
  get spoken(): string {
    return this.text.innerText;
  }

  private think(text: string): void {
    if (!this.thought) {
      const box = create('details', 'thought');
      const head = create('summary', '', 'Thinking…');
      const words = new Text();
      const inside = create('p');
      inside.dir = 'auto';
      inside.append(words);
      box.append(head, inside);
      this.text.before(box);
      this.thought = { box, head, words, since: performance.now() };
    }
    const { words } = this.thought;
    words.appendData(words.length === 0 ? text.trimStart() : text);
  }

  private endThought(): void {
    if (!this.thought) return;
    const { box, head, words, since } = this.thought;
    words.data = words.data.trimEnd();
    if (words.data === '') box.remove(); // some templates begin with an empty one
    else if (head.textContent === 'Thinking…') head.textContent = `Thought for ${duration((performance.now() - since) / 1000)}`;
  }
}

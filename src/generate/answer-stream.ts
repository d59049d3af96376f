import { CALL, parseAnswer, parseCall, PYTHON_TAG, THOUGHT } from './answer.js';

/** A piece of an answer as it comes: of the thought before it, or of the answer. What is a call of a tool comes when all is there. */
export interface AnswerPiece {
  readonly type: 'thinking' | 'text';
  readonly text: string;
}

/** Tells thought, answer and calls apart while they are written. What may begin a mark is held back until that is known. */
export class AnswerStream {
  private mode: 'start' | 'thinking' | 'gap' | 'text' | 'call' | 'bare';
  private hasBegun = false; // the text
  private hasText = false; // has been given out
  private between = ''; // line ends behind a call, until more text comes
  private held = '';
  private readonly isThinking: boolean;
  /** Whether calls are looked for. */
  private hasTools: boolean;

  /** @param isThinking whether the prompt has opened the thought already. @param hasTools whether calls are kept back. */
  constructor(isThinking: boolean, hasTools: boolean) {
    this.mode = 'start';
    this.isThinking = isThinking;
    this.hasTools = hasTools;
  }

  push(text: string): AnswerPiece[] {
    this.held += text;
    const out: AnswerPiece[] = [];
    while (this.step(out));
    return out;
  }

  /** The end of the answer: what was held back. */
  finish(): AnswerPiece[] {
    const { mode, held } = this;
    this.held = '';
    const text = this.rest(held);
    return text === '' ? [] : [{ type: mode === 'thinking' || (mode === 'start' && this.isThinking) ? 'thinking' : 'text', text: this.between + text }];
  }

  /** Of what was held back at the end, what is no call. */
  private rest(held: string): string {
    switch (this.mode) {
      case 'gap': return '';
      case 'call': return parseCall(held.trim()) ? '' : CALL.open + held;
      case 'bare': {
        const { content, toolCalls } = parseAnswer(held, false, []);
        return toolCalls ? content : held;
      }
      default: return held;
    }
  }

  /** @returns whether there may be more to do with what is held. */
  private step(out: AnswerPiece[]): boolean {
    switch (this.mode) {
      case 'start': {
        const text = this.held.trimStart();
        if (text !== THOUGHT.open && THOUGHT.open.startsWith(text)) return false;
        const opens = text.startsWith(THOUGHT.open);
        if (opens) this.held = text.slice(THOUGHT.open.length);
        this.mode = opens || this.isThinking ? 'thinking' : 'text';
        return true;
      }
      case 'thinking':
        return this.upTo(THOUGHT.close, 'gap', (text) => out.push({ type: 'thinking', text }));
      case 'gap':
        if (this.hasText) this.between += /^\n*/.exec(this.held)![0];
        this.held = this.held.replace(/^\n+/, '');
        if (this.held === '') return false;
        this.mode = 'text';
        return true;
      case 'text':
        if (this.hasTools && !this.hasBegun) {
          const text = this.held.trimStart();
          if (text === '' || PYTHON_TAG.startsWith(text)) return false;
          this.hasBegun = true;
          if (text.startsWith('{') || text.startsWith(PYTHON_TAG)) this.mode = 'bare';
          return true;
        }
        if (this.hasTools) return this.upTo(CALL.open, 'call', (text) => this.giveText(text, out));
        if (this.held !== '') this.giveText(this.held, out);
        this.held = '';
        return false;
      case 'bare': // which is a call if it is one as a whole: Llama 3.1
        return false;
      case 'call': {
        const end = this.held.indexOf(CALL.close);
        if (end < 0) return false;
        const isCall = parseCall(this.held.slice(0, end).trim()) !== undefined;
        this.held = isCall ? this.held.slice(end + CALL.close.length) : CALL.open + this.held;
        this.mode = isCall ? 'gap' : 'text';
        this.hasTools = isCall; // behind what is no call, all is text
        return true;
      }
    }
  }

  private giveText(text: string, out: AnswerPiece[]): void {
    out.push({ type: 'text', text: this.between + text });
    this.between = '';
    this.hasText ||= text.trim() !== '';
  }

  /** Gives out what is before a mark. @returns whether it was found. */
  private upTo(mark: string, next: AnswerStream['mode'], give: (text: string) => void): boolean {
    const at = this.held.indexOf(mark);
    const end = at >= 0 ? at : this.held.length - overlap(this.held, mark);
    if (end > 0) give(this.held.slice(0, end));
    this.held = this.held.slice(at >= 0 ? at + mark.length : end);
    if (at >= 0) this.mode = next;
    return at >= 0;
  }
}

/** How many characters at the end of `text` may be the beginning of `mark`. */
function overlap(text: string, mark: string): number {
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length--) if (text.endsWith(mark.slice(0, length))) return length;
  return 0;
}

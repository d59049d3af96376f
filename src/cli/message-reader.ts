/** Around a message of several lines. */
const BLOCK = '"""';

/**
 * Puts messages together out of lines: a line that ends in a backslash goes on with the next one, and so does all from `"""` to `"""`.
 * What was pasted as several lines is a message as it is.
 */
export class MessageReader {
  private lines: string[] = [];
  private isBlock = false;

  /** Whether a message has begun. */
  get isOpen(): boolean {
    return this.isBlock || this.lines.length > 0;
  }

  /** @returns a message that ends with this line. Only one of a single line can be a command. */
  push(line: string): Message | undefined {
    const isFirst = !this.isOpen;
    if (isFirst && line.includes('\n')) return { text: line, isTyped: false };
    let rest = line;
    if (isFirst && line.startsWith(BLOCK)) {
      this.isBlock = true;
      rest = line.slice(BLOCK.length);
      if (rest === '') return undefined;
    }
    if (this.isBlock) {
      const isEnd = rest.trimEnd().endsWith(BLOCK);
      const text = isEnd ? rest.trimEnd().slice(0, -BLOCK.length) : rest;
      if (!isEnd || text !== '') this.lines.push(text); // marks may stand on lines of their own
      return isEnd ? this.end() : undefined;
    }
    if (line.endsWith('\\')) {
      this.lines.push(line.slice(0, -1));
      return undefined;
    }
    if (isFirst) return { text: line, isTyped: true };
    this.lines.push(line);
    return this.end();
  }

  /** @returns what was begun, and has no end. */
  end(): Message | undefined {
    const message = this.isOpen ? { text: this.lines.join('\n'), isTyped: false } : undefined;
    this.reset();
    return message;
  }

  /** Forgets what was begun. */
  reset(): void {
    this.lines = [];
    this.isBlock = false;
  }
}

export interface Message {
  readonly text: string;
  /** One line, as it was typed: it may be a command. */
  readonly isTyped: boolean;
}

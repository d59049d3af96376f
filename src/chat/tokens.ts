import { shorten } from '../errors.js';
import type { Token, TokenType } from './lexer.js';
import type { Run } from './run.js';

/** Tokens on their way through the parsers. */
export class TokenStream {
  readonly run: Run;
  private readonly tokens: readonly Token[];
  private at = 0;

  constructor(run: Run, tokens: readonly Token[]) {
    this.run = run;
    this.tokens = tokens;
  }

  get token(): Token {
    return this.tokens[this.at]!; // the last one, eof, is never taken
  }

  /** Where the token before this one is. */
  get lastLine(): number {
    return (this.tokens[this.at - 1] ?? this.token).line;
  }

  next(): Token {
    const { token } = this;
    if (token.type !== 'eof') this.at++;
    return token;
  }

  /** Whether the token is this operator or name, or the one behind it is. */
  is(type: 'operator' | 'name', value: string, ahead = 0): boolean {
    const token = this.tokens[this.at + ahead];
    return token?.type === type && token.value === value;
  }

  /** Takes the token if it is this one. */
  skip(type: 'operator' | 'name', value: string): boolean {
    const isIt = this.is(type, value);
    if (isIt) this.at++;
    return isIt;
  }

  take(type: TokenType, value?: string): Token {
    const { token } = this;
    if (token.type !== type || (value !== undefined && token.value !== value)) return this.unexpected(value ?? NAMES[type] ?? type);
    return this.next();
  }

  unexpected(wanted: string): never {
    const { token } = this;
    return this.fail(`${NAMES[token.type] ?? shorten(token.value)} where ${wanted} is expected`);
  }

  fail(message: string, line = this.token.line): never {
    this.run.line = line;
    return this.run.fail(message);
  }
}

const NAMES: Partial<Record<TokenType, string>> = {
  text: 'text', begin: '{%', end: '%}', print: '{{', printEnd: '}}', eof: 'the end of the template',
};

import { isSpace, ONLY_SPACES, stripped } from './text.js';
import type { Run } from './run.js';

export type TokenType = 'text' | 'begin' | 'end' | 'print' | 'printEnd' | 'name' | 'string' | 'int' | 'float' | 'operator' | 'eof';

/** `begin` and `end` are around a statement, `print` and `printEnd` around what is printed. */
export interface Token {
  readonly type: TokenType;
  readonly value: string;
  readonly line: number;
}

const RAW_BEGIN = /\{%([-+]?)\s*raw\s*(-%\}\s*|%\})/y;
const RAW_END = /\{%([-+]?)\s*endraw\s*(\+%\}|-%\}\s*|%\}\n?)/g;
/** `trim_blocks` as Hugging Face sets it: one line break behind a statement or a comment goes. */
const COMMENT_END = /\+#\}|-#\}\s*|#\}\n?/g;
const BLOCK_END = /\+%\}|-%\}\s*|%\}\n?/y;
const PRINT_END = /-\}\}\s*|\}\}/y;

const SPACES = /\s+/y;
const NAME = /[\p{L}\p{Nl}_][\p{L}\p{Nl}\p{Mn}\p{Mc}\p{Nd}\p{Pc}]*/uy;
const FLOAT = /\d(?:_?\d)*(?:\.\d(?:_?\d)*)?[eE][-+]?\d(?:_?\d)*|\d(?:_?\d)*\.\d(?:_?\d)*/y;
const INT = /0[xX](?:_?[\da-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+|\d(?:_?\d)*/y;
const OPERATOR = /\*\*|\/\/|==|!=|<=|>=|[-+*/%~<>=.:|,;()[\]{}]/y;
const CLOSES: Record<string, string> = { '(': ')', '[': ']', '{': '}' };

/** Cuts a template into texts, statements and what is printed, with the white space taken away that is to go. */
export function tokenize(run: Run, template: string): Token[] {
  const source = template.replace(/\r\n?/g, '\n').replace(/\n$/, '');
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  let startsLine = true;

  const add = (type: TokenType, value: string): void => void tokens.push({ type, value, line });
  const fail = (message: string): never => {
    run.line = line;
    return run.fail(message);
  };
  const advance = (to: number): void => {
    for (let i = at; i < to; i++) if (source.charCodeAt(i) === 10) line++;
    startsLine = to > at ? source[to - 1] === '\n' : startsLine;
    at = to;
  };
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  /** `lstrip_blocks` as well: blanks between the beginning of a line and a statement or a comment go. */
  const addText = (text: string, sign: string, isPrint: boolean): void => {
    let kept = text;
    if (sign === '-') kept = text.slice(...stripped(text, isSpace, false, true));
    else if (sign !== '+' && !isPrint) {
      const start = text.lastIndexOf('\n') + 1;
      if ((start > 0 || startsLine) && ONLY_SPACES.test(text.slice(start))) kept = text.slice(0, start);
    }
    if (kept !== '') add('text', kept);
  };

  const readComment = (): void => {
    const end = match(COMMENT_END) ?? fail('a comment, {#, is not closed');
    advance(end.index + end[0].length);
  };
  const readRaw = (begin: RegExpExecArray): void => {
    advance(at + begin[0].length);
    const end = match(RAW_END) ?? fail('{% raw %} is not closed');
    addText(source.slice(at, end.index), end[1]!, false);
    advance(end.index + end[0].length);
  };
  const readCode = (isPrint: boolean): void => {
    add(isPrint ? 'print' : 'begin', '');
    const opened = line;
    const brackets: string[] = [];
    for (;;) {
      const spaces = match(SPACES);
      if (spaces) advance(at + spaces[0].length);
      if (at >= source.length) {
        line = opened;
        fail(`${isPrint ? '{{' : '{%'} is not closed`);
      }
      const end = brackets.length === 0 ? match(isPrint ? PRINT_END : BLOCK_END) : null;
      if (end) {
        add(isPrint ? 'printEnd' : 'end', '');
        return advance(at + end[0].length);
      }
      readToken(brackets);
    }
  };
  const readToken = (brackets: string[]): void => {
    const char = source[at]!;
    if (char === '"' || char === "'") return readString(char);
    for (const [type, pattern] of [['name', NAME], ['float', FLOAT], ['int', INT], ['operator', OPERATOR]] as const) {
      const found = match(pattern)?.[0];
      if (found === undefined || (type === 'float' && source[at - 1] === '.')) continue;
      if (type === 'operator' && CLOSES[found] !== undefined) brackets.push(CLOSES[found]);
      else if (type === 'operator' && ')]}'.includes(found) && brackets.pop() !== found) fail(`${found} closes nothing`);
      add(type, type === 'int' || type === 'float' ? found.replaceAll('_', '') : found);
      return advance(at + found.length);
    }
    fail(`the character ${JSON.stringify(String.fromCodePoint(source.codePointAt(at)!))} is not expected here`);
  };
  const readString = (mark: string): void => {
    let end = at + 1;
    while (end < source.length && source[end] !== mark) end += source[end] === '\\' ? 2 : 1;
    if (end >= source.length) fail('a string is not closed');
    add('string', unescape(source.slice(at + 1, end), fail));
    advance(end + 1);
  };

  while (at < source.length) {
    const next = nextOpening(source, at);
    const sign = /^[-+]/.exec(source.slice(next + 2, next + 3))?.[0] ?? '';
    const kind = source[next + 1];
    addText(source.slice(at, next), next < source.length ? sign : '+', kind === '{');
    advance(next);
    if (at >= source.length) break;
    const raw = kind === '%' ? match(RAW_BEGIN) : null;
    if (raw) {
      readRaw(raw);
      continue;
    }
    advance(at + 2 + sign.length);
    startsLine = false;
    if (kind === '#') readComment();
    else readCode(kind === '{');
  }
  add('eof', '');
  return tokens;
}

function nextOpening(source: string, from: number): number {
  for (let at = source.indexOf('{', from); at >= 0; at = source.indexOf('{', at + 1)) {
    if (at + 1 < source.length && '{%#'.includes(source[at + 1]!)) return at;
  }
  return source.length;
}

const ESCAPES: Record<string, string> = {
  n: '\n', t: '\t', r: '\r', '\\': '\\', "'": "'", '"': '"', a: '\x07', b: '\b', f: '\f', v: '\v', '\n': '',
};

/** Python's escapes; what is none keeps its backslash. */
function unescape(text: string, fail: (message: string) => never): string {
  return text.replace(/\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|([^]))/g, (all, x, u, long, octal, char: string | undefined) => {
    if (char !== undefined) return 'xuUN'.includes(char) ? fail(`the escape \\${char} in a string is not supported, or not complete`) : (ESCAPES[char] ?? all);
    const code = octal === undefined ? parseInt(x ?? u ?? long, 16) : parseInt(octal, 8);
    return code <= 0x10ffff ? String.fromCodePoint(code) : fail(`${all} is no character`);
  });
}

import { shorten } from '../errors.js';
import { tokenize } from './lexer.js';
import { parseExpression, parseFilter, parseOr, parseTuple } from './parse-expression.js';
import type { Run } from './run.js';
import type { Body, Expression, FilterUse, MacroDefinition, Parameter, Statement, Target } from './syntax.js';
import { plain } from './text.js';
import { TokenStream } from './tokens.js';

/** A template's source as statements. @throws ChatTemplateError for what is broken or not supported. */
export function parse(run: Run, source: string): Body {
  const tokens = new TokenStream(run, tokenize(run, source));
  const body = parseBody(tokens, [], 0);
  return tokens.token.type === 'eof' ? body : tokens.fail(`${tokens.token.value} where nothing is to be ended`);
}

/** Loops that a `break` could be in. */
type Loops = number;

/** Statements up to one of these words, which is not taken. */
function parseBody(tokens: TokenStream, ends: readonly string[], loops: Loops): Body {
  tokens.run.enter();
  const opened = tokens.lastLine;
  const body: Statement[] = [];
  for (;;) {
    const { type, line } = tokens.token;
    if (type === 'text') body.push({ type: 'text', line, value: plain(tokens.next().value) });
    else if (type === 'print') {
      tokens.next();
      body.push({ type: 'print', line, value: parseTuple(tokens) });
      tokens.take('printEnd');
    } else if (type === 'begin') {
      tokens.next();
      const word = tokens.token.type === 'name' ? tokens.token.value : tokens.unexpected('a statement');
      if (ends.includes(word)) break;
      body.push(parseStatement(tokens, loops));
      tokens.take('end');
    } else if (ends.length === 0) break;
    else tokens.fail(`the end of the template where {% ${ends.at(-1)!} %} is missing`, type === 'eof' ? opened : line);
  }
  tokens.run.leave();
  return body;
}

/** A body, and the statement that ends it: `%}` before it is taken, and the word that ends it, but not the `%}` behind that. */
function parseBlock(tokens: TokenStream, end: string, loops: Loops): Body {
  tokens.take('end');
  const body = parseBody(tokens, [end], loops);
  tokens.next();
  return body;
}

function parseStatement(tokens: TokenStream, loops: Loops): Statement {
  const { value: word, line } = tokens.next();
  switch (word) {
    case 'if': return parseIf(tokens, line, loops);
    case 'for': return parseFor(tokens, line, loops);
    case 'set': return parseSet(tokens, line, loops);
    case 'macro': return { type: 'macro', line, macro: parseMacro(tokens) };
    case 'call': return parseCall(tokens, line);
    case 'filter': {
      const filters = parseFilterChain(tokens);
      return { type: 'filtered', line, filters, body: parseBlock(tokens, 'endfilter', loops) };
    }
    case 'with': return parseWith(tokens, line, loops);
    // Marks what the assistant wrote, for training.
    case 'generation': return { type: 'scope', line, values: [], body: parseBlock(tokens, 'endgeneration', 0) };
    case 'break': case 'continue':
      return loops > 0 ? { type: word, line } : tokens.fail(`{% ${word} %} outside of a loop`, line);
    case 'else': case 'elif': case 'endif': case 'endfor': case 'endset': case 'endmacro': case 'endcall': case 'endfilter': case 'endwith': case 'endgeneration':
      return tokens.fail(`{% ${word} %} ends nothing that is open here`, line);
    default: return tokens.fail(`the statement {% ${shorten(word)} %} is not supported`, line);
  }
}

function parseIf(tokens: TokenStream, line: number, loops: Loops): Statement {
  const branches: [Expression, Body][] = [];
  const ends = ['elif', 'else', 'endif'];
  let otherwise: Body = [];
  for (;;) {
    const test = parseTuple(tokens);
    tokens.take('end');
    branches.push([test, parseBody(tokens, ends, loops)]);
    const { value: word } = tokens.next();
    if (word === 'else') otherwise = parseBlock(tokens, 'endif', loops);
    if (word !== 'elif') return { type: 'if', line, branches, otherwise };
  }
}

function parseFor(tokens: TokenStream, line: number, loops: Loops): Statement {
  const target = parseTarget(tokens, false);
  tokens.take('name', 'in');
  const over = parseTuple(tokens, parseOr);
  const filter = tokens.skip('name', 'if') ? parseExpression(tokens) : undefined;
  if (tokens.is('name', 'recursive')) tokens.fail('a recursive loop is not supported', line);
  tokens.take('end');
  const body = parseBody(tokens, ['else', 'endfor'], loops + 1);
  const otherwise = tokens.next().value === 'else' ? parseBlock(tokens, 'endfor', loops) : [];
  return { type: 'for', line, target, over, filter, body, otherwise };
}

function parseSet(tokens: TokenStream, line: number, loops: Loops): Statement {
  const target = parseTarget(tokens, true);
  if (tokens.skip('operator', '=')) return { type: 'set', line, target, value: parseTuple(tokens) };
  const filters = tokens.skip('operator', '|') ? parseFilterChain(tokens) : [];
  return { type: 'capture', line, target, filters, body: parseBlock(tokens, 'endset', loops) };
}

function parseFilterChain(tokens: TokenStream): FilterUse[] {
  const filters = [parseFilter(tokens)];
  while (tokens.skip('operator', '|')) filters.push(parseFilter(tokens));
  return filters;
}

/** One target, or several with commas between them. */
function parseTarget(tokens: TokenStream, mayBeMember: boolean): Target {
  const { line } = tokens.token;
  const targets = [parseOneTarget(tokens, mayBeMember)];
  let isTuple = false;
  while (tokens.skip('operator', ',')) {
    isTuple = true;
    if (tokens.token.type !== 'name' && !tokens.is('operator', '(')) break;
    if (tokens.is('name', 'in')) break;
    targets.push(parseOneTarget(tokens, mayBeMember));
  }
  return isTuple ? { type: 'names', line, targets } : targets[0]!;
}

const RESERVED = ['true', 'false', 'none', 'True', 'False', 'None'];

function parseOneTarget(tokens: TokenStream, mayBeMember: boolean): Target {
  if (tokens.is('operator', '(')) {
    tokens.run.enter();
    tokens.next();
    const inner = parseTarget(tokens, mayBeMember);
    tokens.take('operator', ')');
    tokens.run.leave();
    return inner;
  }
  const { value: name, line } = tokens.take('name');
  if (RESERVED.includes(name)) return tokens.fail(`${name} cannot be assigned to`, line);
  if (!mayBeMember || !tokens.skip('operator', '.')) return { type: 'name', line, name };
  return { type: 'member', line, of: name, name: tokens.take('name').value };
}

function parseMacro(tokens: TokenStream): MacroDefinition {
  const name = tokens.take('name').value;
  return { name, parameters: parseParameters(tokens), body: parseBlock(tokens, 'endmacro', 0) };
}

function parseParameters(tokens: TokenStream): Parameter[] {
  tokens.take('operator', '(');
  const parameters: Parameter[] = [];
  while (!tokens.skip('operator', ')')) {
    if (parameters.length > 0) {
      tokens.take('operator', ',');
      if (tokens.skip('operator', ')')) break;
    }
    const name = tokens.take('name').value;
    const initial = tokens.skip('operator', '=') ? parseExpression(tokens) : undefined;
    if (initial === undefined && parameters.at(-1)?.initial) tokens.fail(`the parameter ${shorten(name)} without a default behind one with a default`);
    parameters.push({ name, initial });
  }
  return parameters;
}

function parseCall(tokens: TokenStream, line: number): Statement {
  const parameters = tokens.is('operator', '(') ? parseParameters(tokens) : [];
  const of = parseExpression(tokens);
  if (of.type !== 'call') return tokens.fail('{% call %} of what is no call', line);
  return { type: 'call', line, of, caller: { name: 'caller', parameters, body: parseBlock(tokens, 'endcall', 0) } };
}

function parseWith(tokens: TokenStream, line: number, loops: Loops): Statement {
  const values: [Target, Expression][] = [];
  while (tokens.token.type !== 'end') {
    if (values.length > 0) tokens.take('operator', ',');
    const target = parseOneTarget(tokens, false);
    tokens.take('operator', '=');
    values.push([target, parseExpression(tokens)]);
  }
  return { type: 'scope', line, values, body: parseBlock(tokens, 'endwith', loops) };
}

import { shorten } from '../errors.js';
import { isFilter } from './filters.js';
import type { Operator } from './operators.js';
import type { ArgumentList, Comparison, Expression, FilterUse } from './syntax.js';
import { isTest } from './tests.js';
import { plain } from './text.js';
import type { TokenStream } from './tokens.js';
import { NONE, type Value } from './values.js';

/*
 * Expressions, loosest first, each rule in a function of its own, as Jinja's parser has them.
 */

/** One expression, or several with commas between them, which are a tuple. */
export function parseTuple(tokens: TokenStream, parse: (tokens: TokenStream) => Expression = parseExpression): Expression {
  const { line } = tokens.token;
  const first = parse(tokens);
  if (!tokens.is('operator', ',')) return first;
  const items = [first];
  while (tokens.skip('operator', ',')) {
    if (endsTuple(tokens)) break;
    items.push(parse(tokens));
  }
  return { type: 'tuple', line, items };
}

function endsTuple(tokens: TokenStream): boolean {
  const { type } = tokens.token;
  return type === 'end' || type === 'printEnd' || tokens.is('operator', ')') || tokens.is('operator', '=');
}

/** An expression in another one is a dozen calls of functions. */
const WEIGHT = 5;

/** `yes if test else no`. */
export function parseExpression(tokens: TokenStream): Expression {
  tokens.run.enter(WEIGHT);
  let result = parseOr(tokens);
  while (tokens.is('name', 'if')) {
    const { line } = tokens.next();
    const test = parseOr(tokens);
    const no = tokens.skip('name', 'else') ? parseExpression(tokens) : undefined;
    result = { type: 'choose', line, test, yes: result, no };
  }
  tokens.run.leave(WEIGHT);
  return result;
}

export function parseOr(tokens: TokenStream): Expression {
  let left = parseAnd(tokens);
  while (tokens.is('name', 'or')) left = { type: 'or', line: tokens.next().line, left, right: parseAnd(tokens) };
  return left;
}

function parseAnd(tokens: TokenStream): Expression {
  let left = parseNot(tokens);
  while (tokens.is('name', 'and')) left = { type: 'and', line: tokens.next().line, left, right: parseNot(tokens) };
  return left;
}

function parseNot(tokens: TokenStream): Expression {
  if (!tokens.is('name', 'not')) return parseComparison(tokens);
  tokens.run.enter();
  const result: Expression = { type: 'not', line: tokens.next().line, of: parseNot(tokens) };
  tokens.run.leave();
  return result;
}

const COMPARISONS: ReadonlySet<string> = new Set<Comparison>(['==', '!=', '<', '<=', '>', '>=']);

function parseComparison(tokens: TokenStream): Expression {
  const { line } = tokens.token;
  const first = parseSum(tokens);
  const rest: [Comparison, Expression][] = [];
  for (;;) {
    const { type, value } = tokens.token;
    let comparison: Comparison;
    if (type === 'operator' && COMPARISONS.has(value)) comparison = tokens.next().value as Comparison;
    else if (tokens.skip('name', 'in')) comparison = 'in';
    else if (tokens.is('name', 'not') && tokens.is('name', 'in', 1)) {
      tokens.next();
      tokens.next();
      comparison = 'not in';
    } else break;
    rest.push([comparison, parseSum(tokens)]);
  }
  return rest.length === 0 ? first : { type: 'compare', line, first, rest };
}

/** `parse (operator parse)*`, from the left. */
function parseBinary(tokens: TokenStream, operators: readonly Operator[], parse: (tokens: TokenStream) => Expression): Expression {
  let left = parse(tokens);
  for (;;) {
    const { type, value, line } = tokens.token;
    const operator = type === 'operator' ? operators.find((one) => one === value) : undefined;
    if (operator === undefined) return left;
    tokens.next();
    left = { type: 'compute', line, operator, left, right: parse(tokens) };
  }
}

function parseSum(tokens: TokenStream): Expression {
  return parseBinary(tokens, ['+', '-'], parseConcat);
}

function parseConcat(tokens: TokenStream): Expression {
  const { line } = tokens.token;
  const parts = [parseProduct(tokens)];
  while (tokens.skip('operator', '~')) parts.push(parseProduct(tokens));
  return parts.length === 1 ? parts[0]! : { type: 'concat', line, parts };
}

function parseProduct(tokens: TokenStream): Expression {
  return parseBinary(tokens, ['*', '/', '//', '%'], (inner) => parseBinary(inner, ['**'], parseUnary));
}

function parseUnary(tokens: TokenStream): Expression {
  return parseFilters(tokens, parseSigned(tokens));
}

/** A sign binds more tightly than a filter. */
function parseSigned(tokens: TokenStream): Expression {
  if (!tokens.is('operator', '-') && !tokens.is('operator', '+')) return parsePostfix(tokens, parsePrimary(tokens));
  tokens.run.enter();
  const { line, value } = tokens.next();
  const result: Expression = { type: 'sign', line, sign: value as '-' | '+', of: parseSigned(tokens) };
  tokens.run.leave();
  return parsePostfix(tokens, result);
}

const CONSTANTS: Record<string, Value> = { true: true, True: true, false: false, False: false, none: NONE, None: NONE };

function parsePrimary(tokens: TokenStream): Expression {
  const { type, value, line } = tokens.token;
  switch (type) {
    case 'name':
      tokens.next();
      return Object.hasOwn(CONSTANTS, value) ? { type: 'literal', line, value: CONSTANTS[value]! } : { type: 'name', line, name: value };
    case 'string': {
      let text = '';
      while (tokens.token.type === 'string') text += tokens.next().value;
      return { type: 'literal', line, value: plain(text) };
    }
    case 'int':
      tokens.next();
      return value.length > 64 ? tokens.fail(`the number ${shorten(value)} is too long`, line) : { type: 'literal', line, value: BigInt(value) };
    case 'float':
      return { type: 'literal', line, value: Number(tokens.next().value) };
    case 'operator':
      if (tokens.skip('operator', '(')) return parseParenthesis(tokens, line);
      if (tokens.skip('operator', '[')) return { type: 'list', line, items: parseItems(tokens, ']', parseExpression) };
      if (tokens.skip('operator', '{')) return { type: 'dict', line, entries: parseItems(tokens, '}', parseEntry) };
  }
  return tokens.unexpected('a value');
}

function parseParenthesis(tokens: TokenStream, line: number): Expression {
  if (tokens.skip('operator', ')')) return { type: 'tuple', line, items: [] };
  const inner = parseTuple(tokens);
  tokens.take('operator', ')');
  return inner;
}

/** What has commas between it, with one at the end or not. */
function parseItems<T>(tokens: TokenStream, end: string, parse: (tokens: TokenStream) => T): T[] {
  const items: T[] = [];
  while (!tokens.skip('operator', end)) {
    if (items.length > 0) {
      tokens.take('operator', ',');
      if (tokens.skip('operator', end)) break;
    }
    items.push(parse(tokens));
  }
  return items;
}

function parseEntry(tokens: TokenStream): readonly [Expression, Expression] {
  const key = parseExpression(tokens);
  tokens.take('operator', ':');
  return [key, parseExpression(tokens)];
}

function parsePostfix(tokens: TokenStream, start: Expression): Expression {
  let result = start;
  for (;;) {
    const { line } = tokens.token;
    if (tokens.skip('operator', '.')) {
      const { type } = tokens.token;
      if (type === 'int') result = { type: 'item', line, of: result, key: { type: 'literal', line, value: BigInt(tokens.next().value) } };
      else result = { type: 'attribute', line, of: result, name: type === 'name' ? tokens.next().value : tokens.unexpected('a name') };
    } else if (tokens.skip('operator', '[')) result = parseSubscript(tokens, result, line);
    else if (tokens.is('operator', '(')) result = { type: 'call', line, of: result, given: parseArguments(tokens) };
    else return result;
  }
}

function parseSubscript(tokens: TokenStream, of: Expression, line: number): Expression {
  const bounds: (Expression | undefined)[] = [undefined];
  while (!tokens.skip('operator', ']')) {
    if (tokens.skip('operator', ':')) bounds.push(undefined);
    else if (bounds.at(-1) === undefined) bounds[bounds.length - 1] = parseExpression(tokens);
    else tokens.unexpected(']');
  }
  if (bounds.length > 3) return tokens.fail('a slice has at most three parts', line);
  if (bounds.length > 1) return { type: 'slice', line, of, bounds };
  return { type: 'item', line, of, key: bounds[0] ?? tokens.fail('[] without a key', line) };
}

function parseArguments(tokens: TokenStream): ArgumentList {
  tokens.take('operator', '(');
  const positional: Expression[] = [];
  const named: [string, Expression][] = [];
  let more: Expression | undefined;
  let moreNamed: Expression | undefined;
  parseItems(tokens, ')', () => {
    if (more === undefined && tokens.skip('operator', '*')) more = parseExpression(tokens);
    else if (moreNamed === undefined && tokens.skip('operator', '**')) moreNamed = parseExpression(tokens);
    else if (tokens.token.type === 'name' && tokens.is('operator', '=', 1)) {
      const name = tokens.next().value;
      tokens.next();
      named.push([name, parseExpression(tokens)]);
    } else if (named.length > 0) tokens.fail('an argument without a name behind one with a name');
    else positional.push(parseExpression(tokens));
  });
  return { positional, named, more, moreNamed };
}

const NO_ARGUMENTS: ArgumentList = { positional: [], named: [] };

/** Filters, tests, and calls of what they give, from the left. */
function parseFilters(tokens: TokenStream, start: Expression): Expression {
  let result = start;
  for (;;) {
    const { line } = tokens.token;
    if (tokens.skip('operator', '|')) result = { type: 'filter', line, of: result, filter: parseFilter(tokens) };
    else if (tokens.skip('name', 'is')) result = parseTest(tokens, result, line);
    else if (tokens.is('operator', '(')) result = { type: 'call', line, of: result, given: parseArguments(tokens) };
    else return result;
  }
}

/** What is behind a `|`. @throws ChatTemplateError for a filter that this library does not have. */
export function parseFilter(tokens: TokenStream): FilterUse {
  const { value: name, line } = tokens.take('name');
  if (!isFilter(name)) return tokens.fail(`the filter ${shorten(name)} is not supported`, line);
  return { name, line, given: tokens.is('operator', '(') ? parseArguments(tokens) : NO_ARGUMENTS };
}

function parseTest(tokens: TokenStream, of: Expression, line: number): Expression {
  const isNot = tokens.skip('name', 'not');
  const { value: name } = tokens.take('name');
  if (!isTest(name)) return tokens.fail(`the test ${shorten(name)} is not supported`, line);
  const test: Expression = { type: 'test', line, of, name, given: parseTestArguments(tokens) };
  return isNot ? { type: 'not', line, of: test } : test;
}

/** In parentheses, or one value behind the name. */
function parseTestArguments(tokens: TokenStream): ArgumentList {
  const { type, value } = tokens.token;
  if (tokens.is('operator', '(')) return parseArguments(tokens);
  if (tokens.is('name', 'is')) return tokens.fail('a test of a test: put the first one into parentheses');
  const isWord = type === 'name' && ['else', 'or', 'and', 'if', 'not', 'in'].includes(value);
  const isValue = type === 'name' || type === 'string' || type === 'int' || type === 'float' || (type === 'operator' && (value === '[' || value === '{'));
  if (!isValue || isWord) return NO_ARGUMENTS;
  return { positional: [parsePostfix(tokens, parsePrimary(tokens))], named: [] };
}

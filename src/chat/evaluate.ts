import { shorten } from '../errors.js';
import { applyFilter } from './filters.js';
import { attributeOf, itemOf, sliceOf } from './members.js';
import { compare, compute, equal, isIn, negative } from './operators.js';
import { toText } from './print.js';
import type { Run } from './run.js';
import { lookUp, type Scope } from './scope.js';
import type { ArgumentList, Comparison, Expression, FilterUse } from './syntax.js';
import { applyTest } from './tests.js';
import { concat } from './text.js';
import { dict, isDict, isText, isTrue, isUndefined, itemsOf, NONE, nameOf, undefinedValue, type Arguments, type Value } from './values.js';

/** No function takes as many. */
const MAX_ARGUMENTS = 1000;

/** The value of an expression. */
export function evaluate(run: Run, scope: Scope, expression: Expression): Value {
  run.enter();
  run.spend();
  run.line = expression.line;
  const value = evaluateKind(run, scope, expression);
  run.leave();
  return value;
}

function evaluateKind(run: Run, scope: Scope, expression: Expression): Value {
  const of = (part: Expression): Value => evaluate(run, scope, part);
  const back = (): void => void (run.line = expression.line); // parts may stand on other lines
  switch (expression.type) {
    case 'literal': return expression.value;
    case 'name': return lookUp(run, scope, expression.name);
    case 'list': case 'tuple': return { kind: expression.type, items: expression.items.map(of) };
    case 'dict': return dict(run, expression.entries.map(([key, value]) => [of(key), of(value)] as const));
    case 'and': {
      const left = of(expression.left);
      return isTrue(run, left) ? of(expression.right) : left;
    }
    case 'or': {
      const left = of(expression.left);
      return isTrue(run, left) ? left : of(expression.right);
    }
    case 'not': return !isTrue(run, of(expression.of));
    case 'sign': return negative(run, of(expression.of), expression.sign);
    case 'compute': {
      const [left, right] = [of(expression.left), of(expression.right)];
      back();
      return compute(run, expression.operator, left, right);
    }
    case 'concat': return concat(run, expression.parts.map((part) => toText(run, of(part))));
    case 'compare': return compareAll(run, scope, expression.first, expression.rest);
    case 'choose':
      if (isTrue(run, of(expression.test))) return of(expression.yes);
      return expression.no === undefined ? undefinedValue('a choice without else has no value') : of(expression.no);
    case 'attribute': {
      const value = of(expression.of);
      back();
      return attributeOf(run, value, expression.name);
    }
    case 'item': {
      const [value, key] = [of(expression.of), of(expression.key)];
      back();
      return itemOf(run, value, key);
    }
    case 'slice': {
      const value = of(expression.of);
      const bounds = expression.bounds.map((bound) => (bound === undefined ? NONE : of(bound)));
      back();
      return sliceOf(run, value, bounds);
    }
    case 'call': return callWith(run, of(expression.of), evaluateArguments(run, scope, expression.given), expression.line);
    case 'filter': return filtered(run, scope, of(expression.of), expression.filter);
    case 'test': {
      const value = of(expression.of);
      const given = evaluateArguments(run, scope, expression.given);
      back();
      return applyTest(run, expression.name, value, given);
    }
  }
}

/** `a < b < c` is `a < b and b < c`. */
function compareAll(run: Run, scope: Scope, first: Expression, rest: readonly (readonly [Comparison, Expression])[]): boolean {
  let left = evaluate(run, scope, first);
  for (const [comparison, expression] of rest) {
    const right = evaluate(run, scope, expression);
    if (!holds(run, comparison, left, right)) return false;
    left = right;
  }
  return true;
}

function holds(run: Run, comparison: Comparison, a: Value, b: Value): boolean {
  switch (comparison) {
    case '==': return equal(run, a, b);
    case '!=': return !equal(run, a, b);
    case 'in': return isIn(run, a, b);
    case 'not in': return !isIn(run, a, b);
    case '<': return compare(run, a, b, '<') < 0;
    case '<=': return compare(run, a, b, '<=') <= 0;
    case '>': return compare(run, a, b, '>') > 0;
    case '>=': return compare(run, a, b, '>=') >= 0;
  }
}

export function evaluateArguments(run: Run, scope: Scope, given: ArgumentList): Arguments {
  const positional = given.positional.map((value) => evaluate(run, scope, value));
  const named = new Map(given.named.map(([name, value]) => [name, evaluate(run, scope, value)] as const));
  if (given.more !== undefined) positional.push(...itemsOf(run, evaluate(run, scope, given.more)).slice(0, MAX_ARGUMENTS));
  if (given.moreNamed !== undefined) {
    const more = evaluate(run, scope, given.moreNamed);
    if (!isDict(more)) return run.fail(isUndefined(more) ? more.why : `** before ${nameOf(more)}, not a dictionary`);
    for (const [key, value] of more.entries.values()) {
      const name = isText(key) ? key.text : run.fail(`** before a dictionary with ${nameOf(key)} as a key`);
      if (named.has(name)) run.fail(`the argument ${shorten(name)} is given twice`);
      named.set(name, value);
    }
  }
  return { positional, named };
}

export function callWith(run: Run, value: Value, given: Arguments, line: number): Value {
  run.line = line;
  if (isUndefined(value)) return run.fail(value.why);
  if (typeof value !== 'object' || value.kind !== 'function') return run.fail(`${shorten(nameOf(value))} cannot be called`);
  return value.call(run, given);
}

export function filtered(run: Run, scope: Scope, value: Value, { name, given, line }: FilterUse): Value {
  const options = evaluateArguments(run, scope, given);
  run.line = line;
  return applyFilter(run, name, value, options);
}

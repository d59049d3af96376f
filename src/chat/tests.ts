import { Given } from './arguments.js';
import { compare, compute, equal, isIn } from './operators.js';
import { toText } from './print.js';
import type { Run } from './run.js';
import { isLower, isUpper } from './string-methods.js';
import { isDict, isSequence, isText, isUndefined, kindOf, NONE, numberOf, type Arguments, type Value } from './values.js';

type Test = (run: Run, value: Value, other: Value) => boolean;

const eq: Test = (run, value, other) => equal(run, value, other);
const ne: Test = (run, value, other) => !equal(run, value, other);
const lt: Test = (run, value, other) => compare(run, value, other, '<') < 0;
const le: Test = (run, value, other) => compare(run, value, other, '<=') <= 0;
const gt: Test = (run, value, other) => compare(run, value, other, '>') > 0;
const ge: Test = (run, value, other) => compare(run, value, other, '>=') >= 0;

/** Tests that compare with an argument. */
const WITH_ARGUMENT: Record<string, Test> = {
  eq, equalto: eq, '==': eq, ne, '!=': ne, lt, lessthan: lt, '<': lt, le, '<=': le, gt, greaterthan: gt, '>': gt, ge, '>=': ge,
  in: (run, value, other) => isIn(run, value, other),
  divisibleby: (run, value, other) => hasRest(run, value, other, 0n),
  sameas: (run, value, other) => kindOf(value) === kindOf(other) && (typeof value === 'object' && value.kind !== 'text' ? value === other : equal(run, value, other)),
};

const ALONE: Record<string, (run: Run, value: Value) => boolean> = {
  defined: (_, value) => !isUndefined(value),
  undefined: (_, value) => isUndefined(value),
  none: (_, value) => value === NONE,
  true: (_, value) => value === true,
  false: (_, value) => value === false,
  boolean: (_, value) => typeof value === 'boolean',
  integer: (_, value) => typeof value === 'bigint',
  float: (_, value) => typeof value === 'number',
  number: (_, value) => numberOf(value) !== undefined,
  string: (_, value) => isText(value),
  mapping: (_, value) => isDict(value),
  sequence: (_, value) => isText(value) || isDict(value) || isUndefined(value) || (isSequence(value) && value.kind !== 'view'),
  iterable: (_, value) => isText(value) || isDict(value) || isUndefined(value) || isSequence(value) || kindOf(value) === 'iterator',
  callable: (_, value) => kindOf(value) === 'function',
  odd: (run, value) => hasRest(run, value, 2n, 1n),
  even: (run, value) => hasRest(run, value, 2n, 0n),
  upper: (run, value) => isUpper(run, toText(run, value)),
  lower: (run, value) => isLower(run, toText(run, value)),
};

function hasRest(run: Run, value: Value, by: Value, rest: bigint): boolean {
  return numberOf(value) !== undefined && numberOf(by) !== undefined
    ? equal(run, compute(run, '%', value, by), rest)
    : run.fail('odd, even and divisibleby are of numbers');
}

export function isTest(name: string): boolean {
  return Object.hasOwn(ALONE, name) || Object.hasOwn(WITH_ARGUMENT, name);
}

/** `value is name`. What is refused by name is refused here too, but is neither defined nor undefined. */
export function applyTest(run: Run, name: string, value: Value, given: Arguments): boolean {
  if (isUndefined(value) && value.isRefused) run.fail(value.why);
  const alone = Object.hasOwn(ALONE, name) ? ALONE[name] : undefined;
  const options = new Given(run, `the test ${name}`, given, alone === undefined ? ['other'] : [], alone === undefined ? 1 : 0);
  if (alone === undefined) return WITH_ARGUMENT[name]!(run, value, options.value('other')!);
  return alone(run, value);
}

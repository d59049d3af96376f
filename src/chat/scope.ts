import type { Run } from './run.js';
import { undefinedValue, type Value } from './values.js';

/** Names and what they stand for, in a loop, a macro, or the whole template; what is not here is looked for in `outer`. */
export interface Scope {
  readonly values: Map<string, Value>;
  readonly outer: Scope | undefined;
}

export function inner(outer: Scope, values: Iterable<readonly [string, Value]> = []): Scope {
  return { values: new Map(values), outer };
}

export function lookUp(run: Run, scope: Scope, name: string): Value {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.outer) {
    run.spend();
    const value = at.values.get(name);
    if (value !== undefined) return value;
  }
  return undefinedValue(`${name} is undefined`);
}

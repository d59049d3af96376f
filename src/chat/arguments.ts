import { shorten } from '../errors.js';
import type { Run } from './run.js';
import { isText, isTrue, isUndefined, NONE, nameOf, type Arguments, type Value } from './values.js';

/** What a filter, method or function was given, by the names of its parameters, which may be given by place or by name. */
export class Given {
  private readonly run: Run;
  private readonly what: string;
  private readonly values = new Map<string, Value>();

  /** @throws ChatTemplateError for one too many, an unknown one, or one of the first `required` that is missing. */
  constructor(run: Run, what: string, { positional, named }: Arguments, parameters: readonly string[], required = 0) {
    this.run = run;
    this.what = what;
    if (positional.length > parameters.length) run.fail(`${what}: ${positional.length} arguments, but it takes ${parameters.length}`);
    positional.forEach((value, i) => this.values.set(parameters[i]!, value));
    for (const [name, value] of named) {
      if (!parameters.includes(name)) run.fail(`${what}: an argument ${shorten(name)} is not supported`);
      if (this.values.has(name)) run.fail(`${what}: the argument ${name} is given twice`);
      this.values.set(name, value);
    }
    const missing = parameters.slice(0, required).find((name) => !this.values.has(name));
    if (missing !== undefined) run.fail(`${what}: the argument ${missing} is missing`);
  }

  value(name: string): Value | undefined {
    return this.values.get(name);
  }

  flag(name: string): boolean {
    const value = this.values.get(name);
    return value !== undefined && isTrue(this.run, value);
  }

  text(name: string): string | undefined {
    const value = this.values.get(name);
    if (value === undefined || value === NONE) return undefined;
    return isText(value) ? value.text : this.wrong(name, value, 'a string');
  }

  /** A whole number as an index or a count. */
  whole(name: string): number | undefined {
    const value = this.values.get(name);
    if (value === undefined || value === NONE) return undefined;
    return wholeOf(value) ?? this.wrong(name, value, 'a whole number');
  }

  private wrong(name: string, value: Value, wanted: string): never {
    return this.run.fail(isUndefined(value) ? value.why : `${this.what}: ${name} is ${nameOf(value)}, not ${wanted}`);
  }
}

/** Largest index; what is larger counts as this. */
const MAX_INDEX = 2 ** 40;

export function wholeOf(value: Value): number | undefined {
  if (typeof value === 'boolean') return Number(value);
  return typeof value === 'bigint' ? Math.max(-MAX_INDEX, Math.min(MAX_INDEX, Number(value))) : undefined;
}

import { parseArgs, type ParseArgsConfig } from 'node:util';
import { didYouMean, MatMulFreeError } from '../index.js';

/** The command line itself is wrong: exit code 2, and a hint at `--help`. */
export class UsageError extends MatMulFreeError {}

type Options = NonNullable<ParseArgsConfig['options']>;
type Parsed<T extends Options> = ReturnType<typeof parseArgs<{ options: T; allowPositionals: true; strict: true }>>;

/**
 * As `util.parseArgs`, which calls `--temperature -1` ambiguous, and has no suggestions.
 * @param positionals whether there may be arguments that belong to no option.
 * @throws UsageError
 */
export function parseCommand<T extends Options>(args: readonly string[], options: T, positionals: boolean): Parsed<T> {
  const parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: false, tokens: true });
  for (const token of parsed.tokens) {
    if (token.kind === 'positional' && !positionals) throw new UsageError(`unexpected argument "${token.value}"`);
    if (token.kind !== 'option') continue;
    const { name, rawName, value, inlineValue } = token;
    if (!Object.hasOwn(options, name)) {
      const hint = didYouMean(rawName, Object.keys(options).map((known) => `--${known}`)) || (positionals ? '; a text that begins with a dash comes after --' : '');
      throw new UsageError(`unknown option ${rawName}${hint}`);
    }
    if (options[name]!.type === 'boolean') {
      if (value !== undefined) throw new UsageError(`${rawName} takes no value`);
    } else if (value === undefined) {
      throw new UsageError(`${rawName} takes a value`);
    } else if (!inlineValue && /^--?[a-z]/i.test(value)) {
      throw new UsageError(`${rawName} takes a value, and ${value} looks like an option; if it is the value, write --${name}=${value}`);
    }
  }
  return parsed as unknown as Parsed<T>;
}

/** The number an option holds, or undefined when it was not given. @throws UsageError when it is no number. */
export function numberOption(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === '' || Number.isNaN(value)) throw new UsageError(`--${name} takes a number, not "${text}"`);
  return value;
}

import { missingPart } from '../errors.js';
import type { CompileOptions, Constraint } from './constraint.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';

/*
 * Constraints as index.ts names them, to be used again. As in readers.ts, so that a page's first chunk has none of it: what is in
 * `constrain` loads with the first constraint.
 */

/**
 * One of some texts, exactly. They begin where the output begins: behind a prompt that does not end in a space, give ' yes', not 'yes'.
 * @throws ArgumentError for an empty list, what is no text, or a text that the tokenizer cannot write.
 */
export async function compileChoices(choices: readonly string[], tokenizer: Tokenizer, options: CompileOptions = {}): Promise<Constraint> {
  return (await import('./compile.js').catch(missingPart)).compileChoices(choices, tokenizer, options);
}

/**
 * A text that a regular expression matches as a whole, in JavaScript's spelling with the flag `u`: characters and escapes
 * (`\n`, `\x41`, `\u00e9`, `\u{1f600}`), `.`, classes (`[^a-z]`, `\d`, `\w`, `\s`, `\p{L}` and their negations), groups (named or not), `|`,
 * `*`, `+`, `?`, `{n}`, `{n,}`, `{n,m}`, lazy or not; `^` and `$` at the edges. Not look-around, back-references, `\b`, or options.
 * Characters that the tokenizer cannot write are left out.
 * @throws ArgumentError naming construct and offset, or when nothing is left that can be written.
 */
export async function compileRegex(pattern: string, tokenizer: Tokenizer, options: CompileOptions = {}): Promise<Constraint> {
  return (await import('./compile.js').catch(missingPart)).compileRegex(pattern, tokenizer, options);
}

/**
 * The text of a JSON value that is valid for a JSON Schema (2020-12), compact, with at most one space behind `:` and `,`. Supported:
 * - `type` (one or several), `enum`, `const`, `anyOf`; `oneOf` where the alternatives are seen to exclude each other; `allOf`, and
 *   keywords beside `$ref` and `anyOf`, where they have a simple common form; `true`, `false`;
 * - `$ref` into the same schema, also to itself, by pointer, `$anchor`, or the `$id` of a schema within, at which `#` and pointers
 *   there begin; `$schema` of the drafts 2019-09, 07, 06 and 04, except where they mean something else;
 * - objects: `properties` in their order, `required`, `additionalProperties` (behind the others; without it none are made up unless
 *   nothing is said about properties at all), simple cases of `minProperties` and `maxProperties`;
 * - arrays: `items`, `prefixItems` (no more without `items`), `minItems`, `maxItems`;
 * - strings: `minLength`, `maxLength`, `pattern` (as `compileRegex`, but found anywhere if not anchored), `format` (date, time,
 *   date-time, duration, uuid, ipv4, hostname, email: some of what each allows, so no leap seconds, and no "--" in names of hosts);
 * - integers and numbers: `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`; up to 15 digits, and numbers with a bound have
 *   no exponent.
 *
 * Without `type`, the types are those that the keywords are about. Annotations, and keywords that begin with `x-`, are ignored.
 * @throws ArgumentError naming place and keyword for all else; or when it is so large, or so ambiguous, that it would take some 0.1 s.
 *   Then the `mask` of a later state may throw as well.
 */
export async function compileJsonSchema(schema: unknown, tokenizer: Tokenizer, options: CompileOptions = {}): Promise<Constraint> {
  return (await import('./compile.js').catch(missingPart)).compileJsonSchema(schema, tokenizer, options);
}

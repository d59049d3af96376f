/** Constraints on outputs: choice lists, regular expressions, JSON Schema. */
import { ArgumentError, show } from '../errors.js';
import { isJsonObject } from '../formats/bytes.js';
import { givenOptions } from '../options.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { compileGrammar, type CompileOptions, type Constraint } from './constraint.js';
import { patternGrammar } from './pattern.js';
import { refuse } from './refuse.js';
import { schemaGrammar } from './schema.js';
import { oneOfTexts } from './texts.js';

/** What an output must be: see `compileChoices`, `compileRegex` and `compileJsonSchema`. */
export type ConstraintSpec =
  | { readonly choices: readonly string[] } | { readonly regex: string } | { readonly jsonSchema: unknown } | Constraint;

/** UTF-16 units of all choices together. */
const MAX_CHOICES = 2 ** 18;

/** Compiles what a user gives; a compiled constraint is returned as it is. @throws ArgumentError */
export function compileConstraint(spec: ConstraintSpec, tokenizer: Tokenizer, options: CompileOptions = {}): Constraint {
  if (!isJsonObject(spec)) throw new ArgumentError(`constraint: ${show(spec)} is not an object`);
  if ('start' in spec && typeof spec['start'] === 'function') return spec as unknown as Constraint;
  const given = givenOptions('constraint', spec, ['choices', 'regex', 'jsonSchema']);
  if (Object.keys(given).length !== 1) refuse('give one of choices, regex and jsonSchema');
  if ('choices' in given) return compileChoices(given['choices'] as readonly string[], tokenizer, options);
  if ('regex' in given) return compileRegex(given['regex'] as string, tokenizer, options);
  return compileJsonSchema(given['jsonSchema'], tokenizer, options);
}

/** `compileChoices` of constraints.ts. */
export function compileChoices(choices: readonly string[], tokenizer: Tokenizer, options: CompileOptions = {}): Constraint {
  if (!Array.isArray(choices) || choices.length === 0) refuse('choices is not a list of strings with at least one of them');
  let units = 0;
  for (const choice of choices as readonly unknown[]) {
    if (typeof choice !== 'string' || /\p{Cs}/u.test(choice)) refuse(`choices has ${show(choice)}, which is no well-formed string`);
    units += choice.length;
  }
  if (units > MAX_CHOICES) refuse(`choices have more than ${MAX_CHOICES} characters together`);
  return compileGrammar(tokenizer, options, (grammar) => {
    for (const choice of choices) {
      if (!grammar.canWriteAll(choice as string)) refuse(`choices has ${show(choice)}, which the tokenizer cannot write`);
    }
    return oneOfTexts(grammar, choices);
  }, 'no choice can be written');
}

/** `compileRegex` of constraints.ts. */
export function compileRegex(pattern: string, tokenizer: Tokenizer, options: CompileOptions = {}): Constraint {
  if (typeof pattern !== 'string') refuse(`regex is ${show(pattern)}, not a string`);
  return compileGrammar(tokenizer, options, (grammar) => patternGrammar(pattern, grammar, {
    chars: (set) => grammar.chars(set), around: grammar.empty, refuse: (complaint) => refuse(`regex: ${complaint}`),
  }), `regex: no text that the tokenizer can write matches ${show(pattern)}`);
}

/** `compileJsonSchema` of constraints.ts. @param around what is written before and behind the value. */
export function compileJsonSchema(schema: unknown, tokenizer: Tokenizer, options: CompileOptions = {}, [before, behind]: readonly [string, string] = ['', '']): Constraint {
  return compileGrammar(tokenizer, options, (grammar) => grammar.sequence(grammar.text(before), schemaGrammar(schema, grammar), grammar.text(behind)), 'jsonSchema: no value that the tokenizer can write is valid');
}

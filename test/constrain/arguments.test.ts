import { describe, expect, it } from 'vitest';
import { ArgumentError, compileChoices, compileJsonSchema, compileRegex, type CompileOptions, type Tokenizer } from 'matmulfree';
import { bytesAlone } from './helpers.js';

const tokenizer = bytesAlone();
const COMPILERS: [string, (tokenizer: Tokenizer, options?: CompileOptions) => Promise<{ start(prompt?: ArrayLike<number>): unknown }>][] = [
  ['compileChoices', (...rest) => compileChoices(['a'], ...rest)],
  ['compileRegex', (...rest) => compileRegex('a', ...rest)],
  ['compileJsonSchema', (...rest) => compileJsonSchema({ const: 1 }, ...rest)],
];

describe.each(COMPILERS)('%s', (_, compile) => {
  it.each<[unknown, string]>([
    [undefined, 'undefined'], [null, 'null'], ['gpt2', '"gpt2"'], [7, '7'], [{}, 'an object'], [{ tokenizer }, 'an object'], [[], '[]'], [() => tokenizer, 'a function'],
  ])('says of the tokenizer %j what it is', async (wrong, shown) => {
    const error: unknown = await compile(wrong as Tokenizer).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ArgumentError);
    expect((error as Error).message).toBe(`constraint: the second argument is ${shown}, not a tokenizer such as lm.tokenizer`);
  });

  it.each<[unknown, RegExp]>([
    [3, /the options are 3, not an object/],
    ['eos', /the options are "eos", not an object/],
    [{ eosTokens: [1] }, /unknown option "eosTokens" \(known: eosTokenIds\); did you mean eosTokenIds\?/],
    [{ eosTokenIds: 3 }, /eosTokenIds is 3, not a list of token ids/],
    [{ eosTokenIds: '12' }, /eosTokenIds is "12", not a list of token ids/],
    [{ eosTokenIds: {} }, /eosTokenIds is an object, not a list/],
    [{ eosTokenIds: [1, '2'] }, /eosTokenIds is \[1, "2"\], not a list/],
    [{ eosTokenIds: [1.5] }, /eosTokenIds is \[1\.5\], not a list/],
  ])('says of the options %j what is wrong', async (wrong, message) => {
    const error: unknown = await compile(tokenizer, wrong as CompileOptions).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ArgumentError);
    expect((error as Error).message).toMatch(message);
  });

  it.each([null, 'a', 5, {}, ['a'], [0.5]])('has a start that says of the prompt %j that it is no list of ids', async (wrong) => {
    const constraint = await compile(tokenizer);
    expect(() => constraint.start(wrong as number[])).toThrow(ArgumentError);
    expect(() => constraint.start(wrong as number[])).toThrow(/^constraint: prompt is .*, not a list of token ids$/);
  });

  it('takes ids in typed arrays', async () => {
    const { start } = await compile(tokenizer, { eosTokenIds: [2, 3] }).then((constraint) => ({ start: (prompt: ArrayLike<number>) => constraint.start(prompt) }));
    expect(start(Int32Array.of(5))).toEqual(start([5]));
  });
});

it('arguments in the wrong order are told apart', async () => {
  await expect(compileRegex(tokenizer as unknown as string, 'a' as unknown as Tokenizer)).rejects.toThrow('constraint: regex is an object, not a string');
  await expect(compileChoices(tokenizer as unknown as string[], ['a'] as unknown as Tokenizer)).rejects.toThrow('constraint: choices is not a list');
  await expect(compileJsonSchema(tokenizer, {} as Tokenizer)).rejects.toThrow(ArgumentError);
  await expect(compileJsonSchema(undefined, tokenizer)).rejects.toThrow('constraint: jsonSchema at #: undefined is no value of JSON');
});

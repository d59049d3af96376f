import { beforeAll, describe, expect, it } from 'vitest';
import { compileJsonSchema, MatMulFreeLM, type Constraint } from 'matmulfree';
import { SOME_BACKENDS } from '../support/backends.js';
import { tinyCheckpoint } from '../support/checkpoints.js';
import { EMBEDDED } from '../support/files.js';
import { freshSeed } from '../support/random.js';
import { collect } from './support.js';

const seed = freshSeed();
const schema = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 12 }, age: { type: 'integer', minimum: 1, maximum: 99 }, pets: { type: 'array', items: { enum: ['cat', 'dog'] }, maxItems: 3 } },
  required: ['name', 'age', 'pets'],
} as const;

let lm: MatMulFreeLM;
beforeAll(async () => {
  lm = await MatMulFreeLM.load(EMBEDDED);
});

describe('generate with a constraint', () => {
  it('chooses one of some texts, and ends there', async () => {
    const { all, result } = await collect(lm.generate('The dog was very', { constraint: { choices: [' happy', ' sad', ' hungry and tired'] } }));
    expect([' happy', ' sad', ' hungry and tired']).toContain(all.join(''));
    expect(result.finishReason).toBe('complete');
  });

  it(`writes what a regular expression matches (seed ${seed})`, async () => {
    for (let n = 0; n < 20; n++) {
      const { all, result } = await collect(lm.generate('The number is', { constraint: { regex: ' [1-9][0-9]{2}(-[a-f]{2,5})?' }, temperature: 1.5, seed: seed + n }));
      expect(all.join('')).toMatch(/^ [1-9][0-9]{2}(-[a-f]{2,5})?$/u);
      expect(['eos', 'complete']).toContain(result.finishReason);
    }
  });

  it(`writes JSON for a schema, or says that it was cut; alone, in a batch, in a session, with guesses (seed ${seed})`, async () => {
    const options = { constraint: { jsonSchema: schema }, temperature: 1, maxNewTokens: 80 };
    const prompts = Array.from({ length: 8 }, () => 'Lily is a girl. ');
    const batch = await lm.generateBatch(prompts, { ...options, seed });
    for (const [n, { text, finishReason }] of batch.entries()) {
      expect(finishReason).not.toBe('stop');
      if (finishReason !== 'length') {
        const value = JSON.parse(text) as { name: string; age: number; pets: string[] };
        expect(Object.keys(value)).toEqual(['name', 'age', 'pets']);
        expect(value.age >= 1 && value.age <= 99 && Number.isInteger(value.age)).toBe(true);
        expect(value.pets.every((pet) => pet === 'cat' || pet === 'dog')).toBe(true);
      }
      const alone = await collect(lm.generate(prompts[n]!, { ...options, seed: seed + n, speculate: true }));
      expect(alone.all.join('')).toBe(text);
      const session = lm.session();
      await session.append(prompts[n]!);
      expect((await collect(session.generate({ ...options, seed: seed + n }))).all.join('')).toBe(text);
    }
    const cut = await collect(lm.generate(prompts[0]!, { ...options, maxNewTokens: 3, seed }));
    expect(cut.result.finishReason).toBe('length');
  });

  it('takes a compiled constraint again and again, and one of the caller\'s own for a model without a tokenizer', async () => {
    const constraint = await compileJsonSchema(schema, lm.tokenizer, { eosTokenIds: lm.config.eosTokenIds });
    const texts = await Promise.all([1, 2].map(() => collect(lm.generate('x', { constraint, seed: 1, temperature: 1 }))));
    expect(texts[0]!.all).toEqual(texts[1]!.all);
    const bare = await MatMulFreeLM.load(tinyCheckpoint());
    const even = (n: number): ReturnType<Constraint['start']> => ({ mask: Uint32Array.of(0b0101_0101_0100), complete: n >= 3, next: () => even(n + 1) });
    const { all, result } = await collect(bare.generateIds([1], { constraint: { start: () => even(0) }, eosTokenIds: [], maxNewTokens: 50, temperature: 2, seed: 1 }));
    expect(all.length).toBe(3); // without EOS it ends as soon as it may
    expect(result.finishReason).toBe('complete');
    expect(all.every((id) => id % 2 === 0)).toBe(true);
  });

  it('an error names what is wrong', async () => {
    await expect(collect(lm.generate('x', { constraint: { regex: '(' } }))).rejects.toThrow(/constraint.*regex/);
    await expect(collect(lm.generate('x', { constraint: { what: 1 } as never }))).rejects.toThrow(/what/);
    await expect(collect(lm.generate('x', { constraint: 5 as never }))).rejects.toThrow(/constraint/);
    await expect(lm.generateBatch(['x'], { constraint: { choices: [] } })).rejects.toThrow(/choices/);
  });
});

describe.each(SOME_BACKENDS)('constrained text is the same on $name', ({ backend, threads }) => {
  it('as on the default backend', async () => {
    const other = await MatMulFreeLM.load(EMBEDDED, { backend, threads });
    const options = { constraint: { jsonSchema: schema }, temperature: 1.2, seed: 8, maxNewTokens: 60 };
    expect((await collect(other.generate('Tom', options))).all).toEqual((await collect(lm.generate('Tom', options))).all);
    other.dispose();
  });
});

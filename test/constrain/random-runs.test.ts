import { describe, expect, it } from 'vitest';
import { compileChoices, compileJsonSchema, compileRegex } from '../../src/constrain/compile.js';
import { effort, tries } from '../support/effort.js';
import { freshSeed } from '../support/random.js';
import { generate, randomOf, tokenizers } from './helpers.js';
import { complaint } from './json-schema-checker.js';
import { matches, randomRegex } from './random-regexes.js';
import { randomSchema } from './random-schemas.js';

const RUNS = tries(40, 400);

/** What a tokenizer that lacks characters may say of a constraint. */
const UNWRITABLE = /cannot write|can write/;

describe.each(tokenizers())('constrained runs, $name', ({ tokenizer, prompt }) => {
  const seed = freshSeed();

  it(`with random schemas end in JSON that is valid (seed ${seed})`, () => {
    const random = randomOf(seed);
    let ended = 0;
    for (let run = 0; run < RUNS; run++) {
      const schema = randomSchema(random);
      const shown = `run ${run}: ${JSON.stringify(schema)}`;
      let constraint;
      try {
        constraint = compileJsonSchema(schema, tokenizer);
      } catch (error) {
        expect((error as Error).message, shown).toMatch(UNWRITABLE);
        continue;
      }
      for (let n = 0; n < 2; n++) {
        const { text, ended: isWhole } = generate(constraint, tokenizer, prompt, random);
        if (!isWhole) continue;
        ended++;
        let value: unknown;
        expect(() => { value = JSON.parse(text); }, `${shown}\n${text}`).not.toThrow();
        expect(complaint(schema, value), `${shown}\n${text}`).toBeUndefined();
      }
    }
    expect(ended).toBeGreaterThan(effort(1, 1.2) * RUNS); // of 2 a run: few runs differ more
  });

  it(`with random regexes end in a text that JavaScript matches (seed ${seed})`, () => {
    const random = randomOf(seed + 1);
    let ended = 0;
    for (let run = 0; run < RUNS; run++) {
      const regex = randomRegex(random);
      let constraint;
      try {
        constraint = compileRegex(regex, tokenizer);
      } catch (error) {
        expect((error as Error).message, regex).toMatch(UNWRITABLE);
        continue;
      }
      for (let n = 0; n < 2; n++) {
        const { text, ended: isWhole } = generate(constraint, tokenizer, prompt, random, 100);
        if (!isWhole) continue;
        const isMatch = matches(regex, text);
        if (isMatch === undefined) continue;
        ended++;
        expect(isMatch, `run ${run}: ${regex}\n${JSON.stringify(text)}`).toBe(true);
      }
    }
    expect(ended).toBeGreaterThan(effort(0.8, 1) * RUNS);
  });

  it(`with choices end in one of them (seed ${seed})`, () => {
    const random = randomOf(seed + 2);
    const seen = new Set<string>();
    const choices = ['yes', 'no', ' yes', 'yesterday', 'y', 'é€', 'x"y'];
    const writable = choices.filter((choice) => {
      try {
        compileChoices([choice], tokenizer);
        return true;
      } catch (error) {
        expect((error as Error).message).toContain(JSON.stringify(choice));
        return false;
      }
    });
    const constraint = compileChoices(writable, tokenizer);
    for (let run = 0; run < 60; run++) {
      const { text, ended } = generate(constraint, tokenizer, prompt, random);
      expect(ended).toBe(true);
      expect(writable).toContain(text);
      seen.add(text);
    }
    expect(seen.size).toBeGreaterThan(3);
  });

  it(`hold at the very beginning of a text as well (seed ${seed})`, () => {
    const random = randomOf(seed + 3);
    const bos = [tokenizer.tokenToId('<s>') ?? []].flat();
    for (const choices of [['yes', 'no', 'x y'], [' yes', ' no']]) {
      const constraint = compileChoices(choices, tokenizer);
      for (let run = 0; run < 20; run++) expect(choices).toContain(generate(constraint, tokenizer, bos, random).text);
    }
    for (let run = 0; run < 20; run++) {
      const { text, ended } = generate(compileRegex('(?: ?[a-z]{1,3}){1,4}', tokenizer), tokenizer, bos, random);
      if (ended) expect(text).toMatch(/^(?: ?[a-z]{1,3}){1,4}$/);
    }
  });
});

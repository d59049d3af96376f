import { expect } from 'vitest';
import { leastCost, type Cost } from './costs.js';
import { randomOf, tokenizers } from './helpers.js';
import { hostileSpec, type HostileSpec } from './hostile-schemas.js';
import { complaint } from './json-schema-checker.js';
import { matches } from './random-regexes.js';

/** What nothing may exceed, whatever a constraint asks for. */
const LIMITS = { compileMs: 500, tokenMs: 50, megabytes: 100 };

/** How much longer things may take where the machine does much else at the same time. */
const BUSY = 4;

const { tokenizer, prompt } = tokenizers()[0]!;

export function expectWithin(spec: unknown, seed: number, shown: string, slowness = BUSY): Cost {
  const isWithin = (each: Cost): boolean => (
    each.compileMs <= slowness * LIMITS.compileMs && each.tokenMs <= slowness * LIMITS.tokenMs && each.megabytes <= LIMITS.megabytes
  );
  const cost = leastCost(spec, tokenizer, prompt, seed, isWithin);
  const { compileMs, tokenMs, megabytes } = cost;
  expect(isWithin(cost), `${JSON.stringify({ compileMs, tokenMs, megabytes })}: ${shown}`).toBe(true);
  return cost;
}

/** Tries hostile constraints: each is refused, or what it writes is valid, within the limits. @returns the worst, and how they ended. */
export function tryHostile(seed: number, runs: number, slowness = BUSY): { worst: typeof LIMITS; ended: number; refused: number; cut: number } {
  const sum = { worst: { compileMs: 0, tokenMs: 0, megabytes: 0 }, ended: 0, refused: 0, cut: 0 };
  for (let run = 0; run < runs; run++) {
    const spec = hostileSpec(randomOf(seed + run));
    const shown = `seed ${seed}, run ${run}: ${JSON.stringify(spec).slice(0, 2000)}`;
    const cost = expectWithin(spec, seed + run, shown, slowness);
    for (const key of ['compileMs', 'tokenMs', 'megabytes'] as const) sum.worst[key] = Math.max(sum.worst[key], cost[key]);
    const { outcome } = cost;
    if ('complaint' in outcome) {
      expect(outcome.complaint, shown).toMatch(/^constraint: /);
      sum.refused++;
    } else if (outcome.ended) {
      expect(wrongWith(outcome.text, spec), `${shown}\n${outcome.text}`).toBeUndefined();
      sum.ended++;
    } else {
      sum.cut++;
    }
  }
  return sum;
}

function wrongWith(text: string, spec: HostileSpec): string | undefined {
  if ('jsonSchema' in spec) return complaint(spec.jsonSchema, JSON.parse(text));
  const isRight = 'choices' in spec ? spec.choices.includes(text) : matches(spec.regex, text) !== false;
  return isRight ? undefined : 'another text';
}

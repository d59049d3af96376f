import { expect, it } from 'vitest';
import { freshSeed, randomFrom } from '../support/random.js';
import { searchHostileTexts } from './random-patterns.js';

const seed = freshSeed();

it(`50,000 random patterns that are accepted take less than a second on hostile texts of 5,000 characters (SEED=${seed})`, () => {
  const { accepted, refused, givenUp, worstMs, worst } = searchHostileTexts(randomFrom(seed), 50_000);
  console.log(`SEED=${seed}: ${accepted} accepted, ${refused} refused; ${givenUp} texts given up; at most ${worstMs.toFixed(0)} ms: ${worst}`);
  expect(worstMs, worst).toBeLessThan(1000);
  expect(refused).toBeGreaterThan(1000);
}, 1_800_000);

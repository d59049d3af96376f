import { expect, it } from 'vitest';
import { tries } from '../support/effort.js';
import { freshSeed, randomFrom } from '../support/random.js';
import { searchHostileTexts } from './random-patterns.js';

const seed = freshSeed();
const count = tries(3000, 3000); // FUZZ=50000 takes five minutes

it(`${count} random patterns that are accepted take less than a second on hostile texts of 5,000 characters (SEED=${seed})`, () => {
  const { accepted, refused, givenUp, worstMs, worst } = searchHostileTexts(randomFrom(seed), count);
  console.log(`SEED=${seed}: ${accepted} accepted, ${refused} refused; ${givenUp} texts given up; at most ${worstMs.toFixed(0)} ms: ${worst}`);
  expect(worstMs, worst).toBeLessThan(1000);
  expect(refused).toBeGreaterThan(count / 50);
}, 1_800_000);

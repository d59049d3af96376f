import { logProbability } from '../src/sampling/logprobs.js';

/* How well a model predicts stories: all tokens, by their position, and names that were said before. */

/** Tokens predicted, counted from 1 at the story's first. The longest of the validation stories has 300. */
export const POSITIONS = [[1, 32], [33, 128], [129, 300]] as const;
/** A name counts when it was last said so many tokens ago. */
export const RECALLED = [17, 32] as const;

/** Names in such stories. Those that are one token of the vocabulary count. */
export const NAMES: readonly string[] = [
  'Amy', 'Anna', 'Bella', 'Ben', 'Benny', 'Billy', 'Bob', 'Bobby', 'Buddy', 'Daisy', 'Ducky', 'Ella', 'Emily', 'Emma', 'Fin', 'Fluffy', 'Fred', 'Jack', 'Jane', 'Jill', 'Jim', 'Jimmy',
  'Joe', 'John', 'Kitty', 'Leo', 'Lila', 'Lily', 'Lucy', 'Mary', 'Max', 'Mia', 'Molly', 'Peter', 'Sam', 'Sammy', 'Sara', 'Sarah', 'Spot', 'Sue', 'Tim', 'Timmy', 'Tom', 'Tommy', 'Tweet',
];

/** Hands over the logits [vocab] after each of `ids` but the last, in order. */
export type EachLogits = (ids: readonly number[], sink: (logits: Float32Array, position: number) => void) => void;

/** Sums over tokens. */
export interface Tally {
  tokens: number;
  nll: number;
}

export interface Judgement {
  readonly all: Tally;
  /** [POSITIONS] */
  readonly byPosition: readonly Tally[];
  /** Names that were said `RECALLED` tokens ago; how many of these were the first guess of all tokens, and of the names. */
  readonly names: { said: number; first: number; firstOfNames: number };
}

/** @param names ids of `NAMES`. */
export function judgeStories(stories: readonly (readonly number[])[], eachLogits: EachLogits, names: ReadonlySet<number>): Judgement {
  const newTally = (): Tally => ({ tokens: 0, nll: 0 });
  const judgement: Judgement = { all: newTally(), byPosition: POSITIONS.map(newTally), names: { said: 0, first: 0, firstOfNames: 0 } };
  for (const ids of stories) {
    eachLogits(ids, (logits, position) => {
      const next = position + 1;
      const id = ids[next];
      const nll = -logProbability(logits, id);
      const place = POSITIONS.findIndex(([first, last]) => next >= first && next <= last);
      for (const tally of [judgement.all, judgement.byPosition[place]]) {
        if (!tally) continue;
        tally.tokens++;
        tally.nll += nll;
      }
      if (!names.has(id) || !wasSaid(ids, next)) return;
      judgement.names.said++;
      if (firstOf(logits.keys(), logits) === id) judgement.names.first++;
      if (firstOf(names, logits) === id) judgement.names.firstOfNames++;
    });
  }
  return judgement;
}

/** Whether the id at `position` was last there `RECALLED` tokens before. */
export function wasSaid(ids: readonly number[], position: number): boolean {
  const before = ids.lastIndexOf(ids[position], position - 1);
  const distance = position - before;
  return before >= 0 && position > 0 && distance >= RECALLED[0] && distance <= RECALLED[1];
}

function firstOf(candidates: Iterable<number>, logits: Float32Array): number {
  let first = -1;
  for (const id of candidates) if (first < 0 || logits[id] > logits[first]) first = id;
  return first;
}

export const perplexityOf = ({ tokens, nll }: Tally): number => Math.exp(nll / tokens);

/** Significant digits to which `value` is `expected`: the most of which it is off by less than half of the last one. */
export function digitsOf(value: number, expected: number, most = 15): number {
  const off = Math.abs(value - expected);
  const magnitude = Math.floor(Math.log10(Math.abs(expected)));
  for (let digits = most; digits > 0; digits--) if (off <= 0.5 * 10 ** (magnitude + 1 - digits)) return digits;
  return 0;
}

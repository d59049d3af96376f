import type { Listener } from './host.js';
import type { Machine } from './machine.js';
import { estimateEnergy, type TokenCost } from './operations.js';
import { quantile } from './turns.js';

/** One figure of a report. */
export interface Result {
  /** What was measured, from the general to the special, such as `370M/Transformer++/decode at 1024/4 threads`. */
  readonly id: string;
  readonly unit: string;
  readonly better: 'higher' | 'lower';
  readonly median: number;
  readonly quartiles: readonly [number, number];
  /** Between these are four of five rounds. */
  readonly range: readonly [number, number];
  /** Rounds; 1 for what is counted. */
  readonly rounds: number;
  /** What may differ, as a share, between two runs of the same code beyond what shows within one; 0 for what is counted. */
  readonly noise: number;
}

/** The JSON of a run. */
export interface Report {
  readonly format: 1;
  readonly started: string;
  readonly seconds: number;
  readonly command: string;
  readonly machine: Machine;
  readonly results: readonly Result[];
  /** What was left out, and why; what went wrong. */
  readonly notes: readonly string[];
  /** Seconds that each part took. */
  readonly parts: { readonly [part: string]: number };
}

/** Other processes come and go; with more threads than one, each of them is in the way, and short times tell it more. */
const NOISE = { oneThread: 0.05, moreThreads: 0.15, part: 0.15 } as const;
/** V8 compiles loops of JavaScript by what it has seen of them before: they differ by so much from one process to the next. */
export const JAVASCRIPT_NOISE = 0.15;
/** Of seconds that were measured once: they are told from two and a half times as long. */
export const ONCE_NOISE = 1.5;

/** A figure of each round. @param values by round */
export function sampled(id: string, unit: string, better: Result['better'], values: readonly number[], noise: number): Result {
  return {
    id, unit, better, median: quantile(values, 0.5), quartiles: [quantile(values, 0.25), quantile(values, 0.75)],
    range: [quantile(values, 0.1), quantile(values, 0.9)], rounds: values.length, noise,
  };
}

/**
 * A speed: `amount` of what `unit` counts, for each second.
 * @param times milliseconds, by round
 */
export function speed(id: string, unit: string, amount: number, times: readonly number[], threads: number): Result {
  return sampled(id, unit, 'higher', times.map((ms) => (1000 * amount) / ms), threads === 1 ? NOISE.oneThread : NOISE.moreThreads);
}

/** A time in milliseconds, of one thread. @param times by round */
export function duration(id: string, times: readonly number[]): Result {
  return sampled(id, 'ms', 'lower', times, NOISE.part);
}

/**
 * What is reached of what the machine can do at most, in the same rounds: `amount` in `times` against `most` in `mostTimes`, by round.
 */
export function share(id: string, amount: number, times: readonly number[], most: number, mostTimes: readonly number[], threads: number): Result {
  const values = times.map((ms, round) => (amount / ms) / (most / mostTimes[round]));
  return sampled(id, '', 'higher', values, 2 * (threads === 1 ? NOISE.oneThread : NOISE.moreThreads));
}

/** What is not measured by time. */
export function counted(id: string, unit: string, value: number, better: Result['better'] = 'lower', noise = 0): Result {
  return { id, unit, better, median: value, quartiles: [value, value], range: [value, value], rounds: 1, noise };
}

/** What a token costs after `position` others, with the estimated energy. @param id of a figure by what it tells. */
export function tellCost(id: (what: string) => string, position: number, cost: TokenCost, { result }: Listener): void {
  const { arithmetic, memory: [least, most] } = estimateEnergy(cost);
  result(counted(id(`bytes read at ${position}`), 'bytes/token', cost.bytes));
  result(counted(id(`integer additions at ${position}`), '1/token', cost.integerAdditions));
  result(counted(id(`float additions at ${position}`), '1/token', cost.floatAdditions));
  result(counted(id(`float multiplications at ${position}`), '1/token', cost.floatMultiplications));
  result(counted(id(`energy of arithmetic at ${position} (estimate)`), 'mJ/token', arithmetic));
  result(counted(id(`energy of memory at ${position} (estimate, least)`), 'mJ/token', least));
  result(counted(id(`energy of memory at ${position} (estimate, most)`), 'mJ/token', most));
}

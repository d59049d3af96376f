/* Taking turns, medians and ratios: what is the same in Node and in a browser. */

export interface Turns {
  readonly rounds: number;
  /** What a task does in a round takes about so long; at least one call. */
  readonly roundMs: number;
  /** After so long no round begins, once there are `LEAST_ROUNDS`. Default: there is no hurry. */
  readonly seconds?: number;
  /** Default: long enough that V8 has compiled a task's loops with its optimising compilers. */
  readonly warmUpMs?: number;
}

/** Fewer have no spread. */
export const LEAST_ROUNDS = 3;

const WARM_UP_MS = 300;

/**
 * Lets `tasks` take turns, round by round, so that whatever disturbs the machine disturbs all of them.
 * @returns milliseconds a call: [task][round]
 */
export function takeTurns(tasks: readonly (() => void)[], { rounds, roundMs, seconds = Infinity, warmUpMs = WARM_UP_MS }: Turns): number[][] {
  const end = performance.now() + 1000 * seconds;
  const callMs = tasks.map((task) => warmUp(task, warmUpMs));
  const times = tasks.map((): number[] => []);
  for (let round = -1; round < rounds && (round < LEAST_ROUNDS || performance.now() < end); round++) {
    tasks.forEach((task, n) => {
      const calls = Math.max(1, Math.round(roundMs / callMs[n]));
      const start = performance.now();
      for (let call = 0; call < calls; call++) task();
      const time = (performance.now() - start) / calls;
      if (round < 0) callMs[n] = time; // a round of its own, for those that were still being compiled
      else times[n].push(time);
    });
  }
  return times;
}

/** A task that tells itself how long a call took, in milliseconds: another engine's, which may answer later. */
export type TimedTask = () => Promise<number>;

/** As often as makes a round of `roundMs`; before its first, it is warmed up. */
export function timedTask(task: () => void, roundMs: number): TimedTask {
  let callMs = 0;
  return async () => {
    callMs ||= warmUp(task, WARM_UP_MS);
    const calls = Math.max(1, Math.round(roundMs / callMs));
    const start = performance.now();
    for (let call = 0; call < calls; call++) task();
    return (callMs = (performance.now() - start) / calls);
  };
}

/** As `takeTurns`, with engines that answer later among the tasks. @returns milliseconds a call: [task][round] */
export async function takeTimedTurns(tasks: readonly TimedTask[], { rounds, seconds = Infinity }: Pick<Turns, 'rounds' | 'seconds'>): Promise<number[][]> {
  const end = performance.now() + 1000 * seconds;
  const times = tasks.map((): number[] => []);
  for (let round = -1; round < rounds && (round < LEAST_ROUNDS || performance.now() < end); round++) {
    for (const [n, task] of tasks.entries()) {
      const time = await task();
      if (round >= 0) times[n].push(time);
    }
  }
  return times;
}

/** @returns milliseconds a call, towards the end. */
function warmUp(task: () => void, ms: number): number {
  const start = performance.now();
  let last = 0;
  for (let now = start; now - start < ms; now += last) {
    task();
    last = performance.now() - now;
  }
  return last;
}

/** One of `values`; those of q and 1 - q are equally far from the ends. */
export function quantile(values: readonly number[], q: number): number {
  const last = values.length - 1;
  return [...values].sort((a, b) => a - b)[q < 0.5 ? last - Math.round((1 - q) * last) : Math.round(q * last)];
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The quartiles of `values`. */
export function spread(values: readonly number[], digits: number): string {
  return `${quantile(values, 0.25).toFixed(digits)}–${quantile(values, 0.75).toFixed(digits)}`;
}

/** Median of a / b, round by round. */
export function ratio(a: readonly number[], b: readonly number[]): number {
  return median(a.map((value, round) => value / b[round]));
}

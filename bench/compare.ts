import type { Report, Result } from './results.js';
import { median } from './turns.js';

/** What differs between two reports. */
export interface Change {
  readonly id: string;
  readonly before: Result;
  readonly after: Result;
  /** after / before. */
  readonly ratio: number;
  readonly verdict: 'better' | 'worse';
}

export interface Comparison {
  readonly changes: readonly Change[];
  /** Of results that take turns, where more is tolerated than their own noise: between which logarithms of a ratio none is told. */
  readonly tolerated: ReadonlyMap<string, readonly [number, number]>;
  /** Results that were compared. */
  readonly compared: number;
  /** Ids that only one of them has. */
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
  /** Why the two may not be comparable. */
  readonly warnings: readonly string[];
}

/** What a change of the library's code leaves as it is: the machine and the float baselines. */
const CONTROL = /^machine\/|\/(float|Transformer)/;
const MACHINE = /^machine\//;
/** Of two speeds that are compared themselves, and that may move apart when the machine gives one process more bandwidth than the next. */
const DERIVED = /\/share of /;
/** With fewer, their range counts: they may fall into two kinds, those that wait for memory and those that do not. With so many, their median and its deviations do. */
const ENOUGH_CONTROLS = 12;
/** Standard deviations of controls that others may be off by: one in ten thousand is, by chance. */
const DEVIATIONS = 4;
/** From the median of absolute deviations to the standard deviation of a normal distribution. */
const MAD_TO_DEVIATION = 1.4826;
/** Spreads count as apart when what lies between them is a quarter as wide as both together. */
const GAP = 0.25;

/** Beyond this difference of the load, other processes are likelier to be the cause than the code. */
const LOAD_DIFFERENCE = 0.25;

const threadsOf = (id: string): string => /\b\d+ threads\b/.exec(id)?.[0] ?? '1 thread';

/** Results with the same one took turns, and so had the same disturbances. */
function groupOf(id: string): string {
  const beside = /^machine\/beside ([^/]+)\//.exec(id)?.[1];
  const [part, shape] = beside === undefined ? id.split('/') : [beside === 'kernels' ? beside : 'models', beside];
  return `${part === 'models' || part === 'layers' ? `${part}/${shape}` : part}, ${threadsOf(id)}`;
}

interface Shift {
  readonly id: string;
  /** Logarithm of after / before. */
  readonly log: number;
}

/**
 * Between which ratios, as logarithms, a result may shift that has not changed: as far as those that took turns with it and cannot have
 * changed, and as far as two runs of the same code differ anyhow.
 */
function toleratedFor(id: string, noise: number, controls: readonly Shift[]): readonly [number, number] {
  const own = Math.log1p(noise);
  const others = controls.filter((control) => control.id !== id);
  const beside = others.filter((control) => groupOf(control.id) === groupOf(id)).map(({ log }) => log);
  if (beside.length >= ENOUGH_CONTROLS) {
    const middle = median(beside);
    const width = Math.max(own, DEVIATIONS * MAD_TO_DEVIATION * median(beside.map((log) => Math.abs(log - middle))));
    return [Math.min(0, middle) - width, Math.max(0, middle) + width];
  }
  if (beside.length > 0) return [Math.min(0, ...beside) - own, Math.max(0, ...beside) + own];
  const machine = others.filter((one) => MACHINE.test(one.id) && threadsOf(one.id) === threadsOf(id)).map(({ log }) => Math.abs(log));
  const width = Math.max(own, ...machine);
  return [-width, width];
}

/**
 * What has changed beyond noise: where the spreads (four of five rounds) of two results are apart, and their medians differ by more than two
 * runs of the same code may, and by more than the float baselines and the machine, which took turns with them, differ as well. What is
 * counted is compared exactly, and what is derived from others not at all.
 */
export function compareReports(before: Report, after: Report): Comparison {
  const afterById = new Map(after.results.map((result) => [result.id, result]));
  const beforeIds = new Set(before.results.map(({ id }) => id));
  const ratioOf = (old: Result, now: Result): number => (now.median === old.median ? 1 : now.median / old.median);
  const pairs = before.results.flatMap((old) => {
    const now = DERIVED.test(old.id) ? undefined : afterById.get(old.id);
    return now ? [{ old, now, ratio: ratioOf(old, now) }] : [];
  });
  const controls = pairs.flatMap(({ old: { id, rounds }, ratio }) => (rounds > 1 && CONTROL.test(id) ? [{ id, log: Math.log(ratio) }] : []));
  const changes: Change[] = [];
  const tolerated = new Map<string, readonly [number, number]>();
  for (const { old, now, ratio } of pairs) {
    if (MACHINE.test(old.id)) continue;
    const noise = Math.max(old.noise, now.noise);
    const own = Math.log1p(noise);
    const [low, high] = old.rounds > 1 ? toleratedFor(old.id, noise, controls) : [-own, own];
    if (Math.max(-low, high) > own) {
      const [lowest, highest] = tolerated.get(groupOf(old.id)) ?? [0, 0];
      tolerated.set(groupOf(old.id), [Math.min(low, lowest), Math.max(high, highest)]);
    }
    const between = Math.max(now.range[0] - old.range[1], old.range[0] - now.range[1]);
    const widths = now.range[1] - now.range[0] + (old.range[1] - old.range[0]);
    if (between <= GAP * widths || (Math.log(ratio) >= low && Math.log(ratio) <= high)) continue;
    changes.push({ id: old.id, before: old, after: now, ratio, verdict: (ratio > 1) === (now.better === 'higher') ? 'better' : 'worse' });
  }
  return {
    changes, tolerated, compared: pairs.length,
    onlyBefore: before.results.filter(({ id }) => !afterById.has(id)).map(({ id }) => id),
    onlyAfter: after.results.filter(({ id }) => !beforeIds.has(id)).map(({ id }) => id),
    warnings: warningsFor(before, after),
  };
}

function warningsFor({ machine: a, notes: notesBefore }: Report, { machine: b, notes: notesAfter }: Report): string[] {
  const warnings: string[] = [];
  const differ = [...notesBefore.filter((note) => !notesAfter.includes(note)), ...notesAfter.filter((note) => !notesBefore.includes(note))];
  if (differ.length > 0) warnings.push(`only one of them says: ${differ.join('; ')}`);
  for (const key of ['cpu', 'processors', 'engine'] as const) {
    if (a[key] !== b[key]) warnings.push(`different ${key}: ${a[key]}, then ${b[key]}`);
  }
  const [before, after] = [a, b].map(({ load, processors }) => load.start / processors);
  if (Math.abs(before - after) > LOAD_DIFFERENCE) {
    warnings.push(`different load when they started: ${a.load.start.toFixed(1)}, then ${b.load.start.toFixed(1)}`);
  }
  return warnings;
}

/** For a terminal. */
export function formatComparison({ changes, compared, tolerated, onlyBefore, onlyAfter, warnings }: Comparison): string {
  const lines = warnings.map((warning) => `Beware: ${warning}`);
  for (const [group, [low, high]] of tolerated) {
    const [least, most] = [low, high].map((log) => (100 * Math.expm1(log)).toFixed(0));
    lines.push(`Beware: ${group}: not even the machine and the float baselines are the same; from ${least} to +${most} %, differences are not told`);
  }
  lines.push(changes.length === 0 ? `${compared} results compared: nothing changed beyond noise` : `${compared} results compared, ${changes.length} changed beyond noise:`);
  for (const { id, before, after, ratio, verdict } of changes) {
    lines.push(`  ${verdict.padEnd(6)} ${id}: ${before.median.toPrecision(4)} → ${after.median.toPrecision(4)} ${after.unit} (× ${ratio.toFixed(3)})`);
  }
  if (onlyBefore.length > 0) lines.push(`Only in the first: ${onlyBefore.join(', ')}`);
  if (onlyAfter.length > 0) lines.push(`Only in the second: ${onlyAfter.join(', ')}`);
  return lines.join('\n');
}

/** @throws TypeError unless `text` is the JSON of a report. */
export function parseReport(name: string, text: string): Report {
  let report: unknown;
  try {
    report = JSON.parse(text);
  } catch (error) {
    throw new TypeError(`${name} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const { format, results, machine, notes, parts } = (report ?? {}) as Partial<Report>;
  const isResult = ({ id, unit, median: middle, quartiles, range }: Partial<Result>): boolean =>
    typeof id === 'string' && typeof unit === 'string' && [middle, ...(quartiles ?? [NaN]), ...(range ?? [NaN])].every(Number.isFinite);
  const isReport = format === 1 && Array.isArray(results) && results.every((result) => isResult(result ?? {})) && machine && typeof machine.load === 'object'
    && Array.isArray(notes) && typeof parts === 'object';
  if (!isReport) throw new TypeError(`${name} is no report of npm run bench -- --json`);
  return report as Report;
}

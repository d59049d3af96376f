import type { Report, Result } from './results.js';

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
  /** By how much, as a share, the machine itself differed at most: its bandwidth and operations, measured beside the models. */
  readonly drift: number;
  /** Results that were compared. */
  readonly compared: number;
  /** Ids that only one of them has. */
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
  /** Why the two may not be comparable. */
  readonly warnings: readonly string[];
}

/** Results about the machine (suite-models.ts): what others are judged by. */
const MACHINE_PREFIX = 'machine/';

/** Beyond this difference of the load, other processes are likelier to be the cause than the code. */
const LOAD_DIFFERENCE = 0.25;
const WORTH_TELLING = 0.03;

/** Spreads count as apart when what lies between them is half as wide as both together: of a thousand results, by chance none is. */
const GAP = 0.5;

const threadsOf = ({ id }: Result): string => /\b(\d+) threads\b/.exec(id)?.[1] ?? '1';

/**
 * What has changed beyond noise: where the spreads (four of five rounds) of two results are well apart, and the medians differ by more
 * than two runs of the same code may, and by more than the machine itself did with as many threads. What is counted is compared exactly.
 */
export function compareReports(before: Report, after: Report): Comparison {
  const afterById = new Map(after.results.map((result) => [result.id, result]));
  const beforeIds = new Set(before.results.map(({ id }) => id));
  const isMachine = ({ id }: Result): boolean => id.startsWith(MACHINE_PREFIX);
  const ratioTo = (old: Result): number | undefined => {
    const now = afterById.get(old.id);
    return now && (now.median === old.median ? 1 : now.median / old.median);
  };
  const drifts = new Map<string, number>(); // by threads
  for (const old of before.results.filter(isMachine)) {
    drifts.set(threadsOf(old), Math.max(drifts.get(threadsOf(old)) ?? 0, Math.abs((ratioTo(old) ?? 1) - 1)));
  }
  const changes: Change[] = [];
  let compared = 0;
  for (const old of before.results) {
    const now = afterById.get(old.id);
    if (!now) continue;
    compared++;
    if (isMachine(old)) continue;
    const ratio = ratioTo(old)!;
    const between = Math.max(now.range[0] - old.range[1], old.range[0] - now.range[1]);
    const widths = now.range[1] - now.range[0] + (old.range[1] - old.range[0]);
    const noise = Math.max(old.noise, now.noise);
    const tolerated = noise === 0 ? 0 : Math.max(noise, drifts.get(threadsOf(old)) ?? 0);
    if (between <= GAP * widths || Math.abs(ratio - 1) <= tolerated) continue;
    changes.push({ id: old.id, before: old, after: now, ratio, verdict: (ratio > 1) === (now.better === 'higher') ? 'better' : 'worse' });
  }
  return {
    changes, compared, drift: Math.max(0, ...drifts.values()),
    onlyBefore: before.results.filter(({ id }) => !afterById.has(id)).map(({ id }) => id),
    onlyAfter: after.results.filter(({ id }) => !beforeIds.has(id)).map(({ id }) => id),
    warnings: warningsFor(before, after),
  };
}

function warningsFor({ machine: a }: Report, { machine: b }: Report): string[] {
  const warnings: string[] = [];
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
export function formatComparison({ changes, compared, drift, onlyBefore, onlyAfter, warnings }: Comparison): string {
  const lines = warnings.map((warning) => `Beware: ${warning}`);
  if (drift > WORTH_TELLING) lines.push(`Beware: the machine itself differed by ${(100 * drift).toFixed(0)} %; smaller differences of speed are not told`);
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
  const isReport = format === 1 && Array.isArray(results) && typeof machine === 'object' && Array.isArray(notes) && typeof parts === 'object';
  if (!isReport) throw new TypeError(`${name} is no report of npm run bench -- --json`);
  return report as Report;
}

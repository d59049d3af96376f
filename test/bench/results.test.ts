import { describe, expect, it } from 'vitest';
import { compareReports, formatComparison, parseReport } from '../../bench/compare.js';
import { estimateEnergy, floatMatMulFreeCost, matrixWeights, transformerCost } from '../../bench/operations.js';
import { quickPlan } from '../../bench/plans.js';
import { runPlan } from '../../bench/suite-run.js';
import { counted, share, speed, type Report, type Result } from '../../bench/results.js';
import { createRoof } from '../../bench/roof.js';
import { randomFrom } from '../support/random.js';
import { LEAST_ROUNDS, median, quantile, takeTurns } from '../../bench/turns.js';

const MACHINE = {
  cpu: 'a CPU', processors: 4, memoryBytes: 1e9, freeBytes: 5e8, system: 'linux', engine: 'Node 20', load: { start: 0.5, end: 1 }, commit: 'abc',
};
const report = (results: readonly Result[], machine: Partial<typeof MACHINE> = {}): Report =>
  ({ format: 1, started: '2026-11-22T00:00:00Z', seconds: 1, command: 'bench', machine: { ...MACHINE, ...machine }, results, notes: [], parts: {} });

describe('results', () => {
  it('tell speeds as medians with their spread', () => {
    const times = [10, 20, 40, 20, 20, 20, 20, 20, 20, 20, 20]; // ms
    expect(speed('x', 'tokens/s', 2, times, 1)).toEqual({
      id: 'x', unit: 'tokens/s', better: 'higher', median: 100, quartiles: [100, 100], range: [100, 100], rounds: 11, noise: 0.05,
    });
    expect(speed('x', 'tokens/s', 2, [10, 20, 40], 4)).toMatchObject({ median: 100, range: [50, 200], noise: 0.15 });
    expect(quantile([3, 1, 2], 0)).toBe(1);
    expect([0.1, 0.25, 0.5, 0.75, 0.9].map((q) => quantile([3, 1, 2], q))).toEqual([1, 1, 2, 3, 3]);
    expect(median([3, 1, 2])).toBe(2);
  });

  it('tell what is reached of a limit, round by round', () => {
    // 10 of something in 10, 20, 40 ms, where 100 take 50, 50, 100 ms in the same rounds.
    expect(share('x', 10, [10, 20, 40], 100, [50, 50, 100], 1)).toMatchObject({ median: 0.25, range: [0.25, 0.5], rounds: 3, noise: 0.1 });
  });

  it('come from tasks that take turns', () => {
    const order: string[] = [];
    const busy = (name: string) => (): void => {
      order.push(name);
      const end = performance.now() + 2;
      while (performance.now() < end);
    };
    const times = takeTurns([busy('a'), busy('b')], { rounds: 3, roundMs: 1 });
    expect(times.map((list) => list.length)).toEqual([3, 3]);
    expect(order.slice(-6).join('')).toBe('ababab');
    for (const ms of times.flat()) expect(ms).toBeGreaterThanOrEqual(2);
  });

  it('are of fewer rounds where there is no time for all', () => {
    const slow = (): void => {
      const end = performance.now() + 5;
      while (performance.now() < end);
    };
    expect(takeTurns([slow], { rounds: 1000, roundMs: 1, warmUpMs: 5, seconds: 0 })[0]).toHaveLength(LEAST_ROUNDS);
    expect(takeTurns([slow], { rounds: LEAST_ROUNDS + 1, roundMs: 1, warmUpMs: 5, seconds: 60 })[0]).toHaveLength(LEAST_ROUNDS + 1);
  });
});

describe('comparing two reports', () => {
  const seed = 20261123; // always the same: one result in some thousand is told by chance, as it should

  it(`finds nothing in two runs of the same speeds, whatever their noise, seed ${seed}`, () => {
    const random = randomFrom(seed);
    const run = (): Report => report(Array.from({ length: 200 }, (_, n) => {
      const drift = 1 + 0.02 * (random.unit() - 0.5); // of this run
      return speed(`task ${n}`, '1/s', 1, Array.from({ length: 9 }, () => 10 * drift * (1 + 0.03 * Math.abs(random.normal()))), 1);
    }));
    const comparison = compareReports(run(), run());
    expect(comparison.changes.map(({ id }) => id)).toEqual([]);
    expect(comparison.compared).toBe(200);
    expect(formatComparison(comparison)).toBe('200 results compared: nothing changed beyond noise');
  });

  it('finds what has become faster or slower, larger or smaller', () => {
    const times = (ms: number): number[] => [0.98, 0.99, 1, 1.01, 1.02].map((factor) => ms * factor);
    const before = report([speed('a', '1/s', 1, times(10), 1), speed('b', '1/s', 1, times(10), 1), counted('c', 'bytes', 100), counted('d', 'bytes', 100)]);
    const after = report([speed('a', '1/s', 1, times(9), 1), speed('b', '1/s', 1, times(12), 1), counted('c', 'bytes', 101), counted('d', 'bytes', 100)]);
    expect(compareReports(before, after).changes.map(({ id, verdict }) => `${id} ${verdict}`)).toEqual(['a better', 'b worse', 'c worse']);
    expect(formatComparison(compareReports(before, after))).toContain('worse  b: 100.0 → 83.33 1/s (× 0.833)');
  });

  it('leaves alone what differs less than threads may, or whose rounds overlap', () => {
    const before = report([speed('threads', '1/s', 1, [10, 10, 10], 4), speed('wild', '1/s', 1, [8, 10, 12, 14, 16], 1)]);
    const after = report([speed('threads', '1/s', 1, [11, 11, 11], 4), speed('wild', '1/s', 1, [14, 16, 18, 20, 22], 1)]);
    expect(compareReports(before, after).changes).toEqual([]);
  });

  it('blames the machine for what the machine did', () => {
    const run = (bandwidth: number, ms: number, bytes: number): Report => report([
      speed('machine/bandwidth', 'bytes/s', bandwidth, [10, 10, 10], 1), speed('a', '1/s', 1, [ms, ms, ms], 1), counted('b', 'bytes', bytes),
    ]);
    const comparison = compareReports(run(100, 10, 5), run(80, 11.5, 6));
    expect(comparison.changes.map(({ id }) => id)).toEqual(['b']);
    expect(formatComparison(comparison)).toContain('Beware: a, 1 thread: not even the machine and the float baselines are the same; from -20 to +25 %, differences are not told');
    expect(compareReports(run(100, 10, 5), run(80, 15, 5)).changes.map(({ id }) => id)).toEqual(['a']);
    // What it does with more threads is no excuse for one.
    const both = (four: number, ms: number): Report => report([
      speed('machine/x/bandwidth/1 thread', '1/s', 1, [10, 10, 10], 1), speed('machine/x/bandwidth/4 threads', '1/s', 1, [four, four, four], 4),
      speed('x/1 thread/a', '1/s', 1, [ms, ms, ms], 1), speed('x/4 threads/a', '1/s', 1, [ms, ms, ms], 4),
    ]);
    expect(compareReports(both(10, 10), both(20, 15)).changes.map(({ id }) => id)).toEqual(['x/1 thread/a']);
  });

  it(`knows a change by the float models that took turns with it, seed ${seed}`, () => {
    const random = randomFrom(seed);
    const names = ['ternary', 'float MatMul-free', 'Transformer++'];
    const run = (common: number, jitter: number, ternary: number): Report => report(names.flatMap((name) => Array.from({ length: 12 }, (_, n) => {
      const ms = 10 * common * (1 + jitter * (2 * random.unit() - 1)) * (name === 'ternary' ? ternary : 1);
      return speed(`models/370M/${name}/1 thread/task ${n}`, '1/s', 1, Array.from({ length: 7 }, () => ms * (1 + 0.01 * random.unit())), 1);
    })));
    const changed = (before: Report, after: Report): string[] => compareReports(before, after).changes.map(({ id, verdict }) => `${id.split('/')[2]} ${verdict}`);
    for (let n = 0; n < 20; n++) {
      // The whole machine is slower by up to an eighth, and every task by something of its own.
      const common = 1 + 0.12 * random.unit();
      expect(changed(run(1, 0.01, 1), run(common, 0.01, 1))).toEqual([]);
      expect(new Set(changed(run(1, 0.005, 1), run(1, 0.005, 1.1)))).toEqual(new Set(['ternary worse']));
      expect(changed(run(1, 0.005, 1), run(1, 0.005, 0.9))).toEqual(Array.from({ length: 12 }, () => 'ternary better'));
      expect(changed(run(1, 0.005, 1), run(common, 0.005, common * 1.1))).toHaveLength(12);
    }
    expect(formatComparison(compareReports(run(1, 0, 1), run(1.1, 0, 1)))).toMatch(/^Beware: models\/370M, 1 thread: not even .* from -1[2-5] to \+[5-6] %, differences are not told/);
  });

  it('tells no shares: what they are of, and the limit, are compared already, and both may move at once', () => {
    const bandwidth = (value: number): Result => share('models/370M/ternary/1 thread/decode at 1/share of bandwidth', value, [10, 10, 10], 1, [10, 10, 10], 1);
    expect(compareReports(report([bandwidth(0.5)]), report([bandwidth(0.3)]))).toMatchObject({ changes: [], compared: 0 });
  });

  it('takes what waits for memory and what does not for two kinds, where there are few to go by', () => {
    const four = (name: string, value: number): Result => speed(`models/370M/${name}`, 'tokens/s', 1, [1e3 / value, 1e3 / value, 1e3 / value], 4);
    const run = (bandwidth: number, ternary: number): Report => report([
      four('float MatMul-free/4 threads/decode at 1', 50 * bandwidth), four('Transformer++/4 threads/decode at 1', 51 * bandwidth),
      four('float MatMul-free/4 threads/prefill 128', 330), four('Transformer++/4 threads/prefill 128', 331),
      four('ternary/4 threads/decode at 1', 400 * ternary),
    ]);
    expect(compareReports(run(1, 1), run(0.65, 0.9)).changes).toEqual([]); // the machine had less bandwidth
    expect(compareReports(run(1, 1), run(0.65, 0.5)).changes).toMatchObject([{ id: 'models/370M/ternary/4 threads/decode at 1', verdict: 'worse' }]);
    expect(compareReports(run(1, 1), run(1, 0.8)).changes).toMatchObject([{ id: 'models/370M/ternary/4 threads/decode at 1', verdict: 'worse' }]);
  });

  it('tells what only one has, and why they may not be comparable', () => {
    const comparison = compareReports(report([counted('old', '', 1)]), report([counted('new', '', 1)], { cpu: 'another', load: { start: 3, end: 3 } }));
    expect(comparison).toMatchObject({ compared: 0, onlyBefore: ['old'], onlyAfter: ['new'] });
    expect(comparison.warnings).toEqual(['different cpu: a CPU, then another', 'different load when they started: 0.5, then 3.0']);
    expect(formatComparison(comparison)).toContain('Beware: different cpu');
    expect(compareReports(report([]), { ...report([]), notes: ['2 layers'] }).warnings).toEqual(['only one of them says: 2 layers']);
  });

  it('reads only reports', () => {
    expect(parseReport('a.json', JSON.stringify(report([])))).toEqual(report([]));
    for (const text of ['{}', 'null', '[1]', '{"format":2,"results":[],"machine":{}}', '{"format":1,"results":[],"machine":null,"notes":[],"parts":{}}',
      JSON.stringify(report([{ ...counted('x', '', 1), range: [1, NaN] }])), JSON.stringify({ ...report([]), results: [null] })]) expect(() => parseReport('a.json', text)).toThrow('a.json is no report');
    expect(() => parseReport('a.json', '{')).toThrow('a.json is not JSON');
  });
});

describe('a run', () => {
  it('goes on when a part fails, and tells that', async () => {
    const host = { processors: 1, freeBytes: () => 0, collectGarbage() {}, open: () => Promise.reject(new Error('the disk is on fire')) };
    const told: string[] = [];
    const tell = { result: ({ id }: Result) => void told.push(id), note: (text: string) => void told.push(text), failure: (text: string) => void told.push(`! ${text}`) };
    const seconds = await runPlan(quickPlan(1), host, tell, { parts: ['quality', 'models'] });
    expect(Object.keys(seconds)).toEqual(['quality', 'models']);
    expect(told).toEqual(['! quality failed: the disk is on fire', '370M: left out for lack of memory (0.0 GB are free)']);
  });
});

describe('costs', () => {
  const sizes = { hidden: 8, mixer: 8, intermediate: 16, layers: 2, vocab: 32, heads: 4 };

  it('count every weight once, and the text so far for a transformer', () => {
    expect(matrixWeights(sizes)).toBe(2 * (8 * 8 * 4 + 16 * 8 * 2 + 8 * 16) + 32 * 8);
    const [first, later] = [0, 100].map((position) => transformerCost(sizes, 1000, position));
    expect(later!.floatMultiplications - first!.floatMultiplications).toBe(100 * 2 * (2 * 8 + 4 * 12));
    expect(later!.bytes - first!.bytes).toBe(100 * 2 * 2 * 8 * 4);
    expect(first!.floatMultiplications).toBeGreaterThan(matrixWeights(sizes));
    expect(floatMatMulFreeCost(sizes, 1000).bytes).toBe(1000 + 2 * 8 * 4);
  });

  it('become energy by the figures that are cited', () => {
    const { arithmetic, memory } = estimateEnergy({ integerAdditions: 1e9, floatAdditions: 1e9, floatMultiplications: 1e9, bytes: 8e6 });
    expect(arithmetic).toBeCloseTo(0.1 + 0.9 + 3.7, 10);
    expect(memory).toEqual([1.3, 2.6]);
  });
});

describe('the roof', () => {
  it.each([1, 3])('reads and computes, %i threads', async (threads) => {
    const roof = await createRoof(threads);
    expect(roof.threads).toBe(threads);
    const timeOf = (run: () => void): number => {
      const start = performance.now();
      run();
      return (performance.now() - start) / 1000;
    };
    // No machine reads a terabyte a second, or does ten tera-operations on so few threads: less time means that nothing was done.
    expect(roof.read.bytes / timeOf(roof.read.run)).toBeLessThan(1e12);
    expect(roof.compute.operations / timeOf(roof.compute.run)).toBeLessThan(1e13);
    roof.dispose();
  });
});

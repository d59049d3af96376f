import { describe, expect, it } from 'vitest';
import { sourceOf, standaloneSvg, type Cell, type Figure } from '../../bench/report/figure.js';
import { figuresOf } from '../../bench/report/figures.js';
import { lookUp } from '../../bench/report/lookup.js';
import { reportPage } from '../../bench/report/page.js';
import { verdicts } from '../../bench/report/words.js';
import { browserPlan, expectedSeconds, fullPlan, quickPlan, threadCounts, type Plan } from '../../bench/plans.js';
import type { Report, Result } from '../../bench/results.js';
import { reportFixture } from '../support/bench-report.js';
import { everyElement, parseXml } from '../support/xml.js';

const report = reportFixture();
const figures = figuresOf(report);
const charts = figures.filter((figure): figure is Figure & { chart: NonNullable<Figure['chart']> } => figure.chart !== undefined);
const cellsOf = ({ table }: Figure): Cell[] => table.rows.flat();
const without = (pattern: RegExp): Report => ({ ...report, results: report.results.filter(({ id }) => !pattern.test(id)) });
/** The fixture with the medians and ranges of some results multiplied. */
const scaled = (pattern: RegExp, factor: number): Report => ({
  ...report,
  results: report.results.map((result): Result => (pattern.test(result.id)
    ? { ...result, median: factor * result.median, range: [factor * result.range[0], factor * result.range[1]] } : result)),
});

describe('figures', () => {
  it('are there for all that a full run measures', () => {
    expect(figures.map(({ id }) => id)).toEqual([
      'speed-by-size-1-thread', 'speed-by-size-all-threads', 'memory-by-size', 'time-by-context-370M', 'memory-by-context-370M', 'kinds-by-context-370M', 'prefill', 'shapes', 'roofline',
      'threads-decode', 'threads-prefill', 'batch-370M', 'layers-370M', 'resident-memory', 'operations', 'quality',
    ]);
    expect(new Set(charts.map(({ id }) => id)).size).toBe(charts.length);
  });

  it('come from the results, all of them', () => {
    for (const figure of figures) {
      const numbers = cellsOf(figure).filter((cell) => typeof cell !== 'string');
      expect(numbers.length, figure.id).toBeGreaterThan(2);
      for (const { from, text } of numbers) {
        expect(from.length, `${figure.id}: ${text}`).toBeGreaterThan(0);
        for (const result of from) expect(report.results).toContain(result);
      }
      // What is not a figure is a heading, or is missing.
      for (const [, ...others] of figure.table.rows) for (const cell of others) if (typeof cell === 'string') expect(cell).toBe('–');
      for (const row of figure.table.rows) expect(row.length, figure.id).toBe(figure.table.columns.length);
    }
  });

  it('say in words what the numbers say', () => {
    const context = figures.find(({ id }) => id === 'time-by-context-370M')!;
    expect(context.says).toMatch(/^From 1 token to 32,768, a token of the transformer comes to take 5\.7\d times as long; one of the ternary model takes as long as before/);
    const row = context.table.rows.at(-1)!;
    expect(row[0]).toBe('32k');
    const { median } = lookUp(report).get('models/370M/Transformer++/1 thread/decode at 32768')!;
    expect(Number((row[3] as { text: string }).text)).toBeCloseTo(1000 / median, 0);
    expect(figures.find(({ id }) => id === 'quality')!.says).toMatch(/keep: MatMul-free 8\.19 kB, hybrid 203 kB, BitNet 134 MB, float Transformer\+\+ 537 MB\. Which of them predicts best is not established/);
    expect(figures.find(({ id }) => id === 'kinds-by-context-370M')!.says).toContain('hybrid 143 to 143, BitNet 143 to 25.1, float Transformer++');
    expect(figures.find(({ id }) => id === 'shapes')!.says).toBe('The shape of Ternary Bonsai 1.7B decodes 50 tokens/s with one thread; the first token after a prompt of 128 tokens comes after 1,000 ms.');
  });

  it('say it in other words when the numbers turn', () => {
    const saysOf = (id: string, pattern: RegExp, factor: number): string => figuresOf(scaled(pattern, factor)).find((figure) => figure.id === id)!.says;
    const batches = /\/ternary\/1 thread\/batch of 32$/;
    expect(saysOf('batch-370M', batches, 1)).toContain('which gains more from reading weights once');
    expect(saysOf('batch-370M', batches, 10)).not.toContain('gains more');
    expect(saysOf('roofline', /^kernels/, 1)).toContain('for it, memory is not the limit');
    expect(saysOf('roofline', /^kernels\/[^/]*\/ternary relaxed$/, 1.9)).not.toContain('is not the limit');
    expect(saysOf('prefill', /x/, 1)).toMatch(/37\.\d times as many; of tokens that are decoded one by one it is 5\.8\d times as many\.$/);
    expect(saysOf('operations', /x/, 1)).toMatch(/memory takes at least 99 % of the energy with ternary weights, 99 % with the transformer\.$/);
    expect(saysOf('operations', /energy of memory/, 0.01)).not.toMatch(/99 % with the transformer/);
  });

  it('are tables alone where a chart would have one point', () => {
    const small = figuresOf(without(/^models\/(1\.3B|2\.7B)/)).find(({ id }) => id === 'speed-by-size-1-thread')!;
    expect(small.chart).toBeUndefined();
    expect(small.table.rows).toHaveLength(1);
  });

  it('are left out where there is nothing to show', () => {
    expect(figuresOf({ ...report, results: [] })).toEqual([]);
    expect(figuresOf(without(/^(models|layers|memory|machine|kernels|shapes)/)).map(({ id }) => id)).toEqual(['quality']);
    expect(figuresOf(without(/Transformer\+\+/)).map(({ id }) => id)).not.toContain('time-by-context-370M');
    for (const part of ['ternary', 'hybrid', 'BitNet', 'quoted', 'ours', 'golden', 'names', 'prefill', 'memory of', 'float MatMul-free', 'Transformer++', 'decode', '4 threads', 'weights', 'machine', 'bytes read', 'peak']) {
      const some = { ...report, results: report.results.filter(({ id }) => !id.includes(part)) };
      expect(/.{0,80}(NaN|undefined|Infinity).{0,40}/.exec(reportPage(some))?.[0], part).toBeUndefined();
    }
  });
});

describe('charts', () => {
  it.each(charts)('$id is well-formed, with a title and a description, and all of it is inside', ({ id, title, chart }) => {
    const svg = parseXml(standaloneSvg({ id, title, chart }, sourceOf(report)));
    expect(svg.name).toBe('svg');
    expect(svg.attributes.get('viewBox')).toBe(`0 0 ${chart.width} ${chart.height + 26}`);
    expect([...everyElement(svg)].some(({ text }) => text === 'AMD <EPYC> & others, 4 processors; Node 24; 2026-11-22')).toBe(true);
    const [first, second] = svg.children;
    expect([first!.name, first!.text, second!.name]).toEqual(['title', title, 'desc']);
    expect(second!.text.length).toBeGreaterThan(40);
    expect(svg.attributes.get('aria-labelledby')).toBe(`${first!.attributes.get('id')} ${second!.attributes.get('id')}`);
    for (const { name, attributes } of everyElement(svg)) {
      for (const [key, value] of attributes) {
        expect(value, `${name} ${key}`).not.toMatch(/NaN|Infinity|undefined/);
        const most = /^(x|x1|x2|cx)$/.test(key) ? chart.width : /^(y|y1|y2|cy)$/.test(key) ? chart.height + 26 : undefined;
        if (most !== undefined && name !== 'tspan') expect(Number(value) >= 0 && Number(value) <= most, `${name} ${key}=${value}`).toBe(true);
        if (key === 'd') for (const [number] of value.matchAll(/-?[\d.]+/g)) expect(Number(number) >= 0 && Number(number) <= Math.max(chart.width, chart.height)).toBe(true);
      }
    }
  });

  it('tell spreads as whiskers from the lowest to the highest of four in five rounds', () => {
    const { chart } = charts.find(({ id }) => id === 'speed-by-size-1-thread')!;
    const whiskers = [...everyElement(parseXml(standaloneSvg({ id: 'x', title: 'x', chart }, 'somewhere')))].filter(({ attributes }) => attributes.get('class') === 'whisker s-ternary');
    expect(whiskers).toHaveLength(3);
    const marks = [...everyElement(parseXml(standaloneSvg({ id: 'x', title: 'x', chart }, 'somewhere')))].filter(({ name }) => name === 'circle');
    whiskers.forEach(({ attributes }, n) => {
      const [low, high, middle] = [Number(attributes.get('y1')), Number(attributes.get('y2')), Number(marks[n]!.attributes.get('cy'))];
      expect(low).toBeGreaterThan(middle);
      expect(high).toBeLessThan(middle);
    });
  });

  it('show a stacked bar as long as its parts', () => {
    const { chart } = charts.find(({ id }) => id === 'memory-by-size')!;
    const bars = [...everyElement(parseXml(standaloneSvg({ id: 'x', title: 'x', chart }, 'somewhere')))].filter(({ attributes }) => attributes.get('class') === 'f-transformer');
    const [weights, text] = bars.slice(-2).map(({ attributes }) => Number(attributes.get('width')));
    const lookup = lookUp(report);
    const [a, b] = ['weights', 'memory of 32768 tokens'].map((what) => lookup.get(`models/2.7B/Transformer++/${what}`)!.median);
    expect(text! / weights!).toBeCloseTo(b! / a!, 1);
  });
});

describe('the page', () => {
  const page = reportPage(report);

  it('needs nothing else, and carries its results', () => {
    expect(/<(?:script|img|link|iframe)[^>]*\b(?:src|href)=|@import|url\(/.exec(page)?.[0]).toBeUndefined();
    const [, json] = /<script type="application\/json" id="report">(.*?)<\/script>/s.exec(page)!;
    expect(JSON.parse(json!)).toEqual(JSON.parse(JSON.stringify(report)));
  });

  it('is well-formed, and names are text', () => {
    const body = parseXml(/<body>.*<\/body>/s.exec(page)![0].replace(/<script.*?<\/script>/s, ''));
    const elements = [...everyElement(body)];
    expect(elements.some(({ name, text }) => name === 'dd' && text.startsWith('AMD <EPYC> & others'))).toBe(true);
    const ids = elements.flatMap(({ attributes }) => attributes.get('id') ?? []);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { name, attributes } of elements) {
      if (name === 'a') expect(ids).toContain(attributes.get('href')!.slice(1));
      for (const id of attributes.get('aria-labelledby')?.split(' ') ?? []) expect(ids).toContain(id);
    }
    // Each link leads to the row of the result that its title names.
    const [link] = elements.filter(({ name }) => name === 'a');
    const [, n, id] = /^results\[(\d+)\] (.*)/.exec(link!.attributes.get('title')!)!;
    expect(report.results[Number(n)]!.id).toBe(id!.split('\n')[0]);
    expect(link!.attributes.get('href')).toBe(`#r${n}`);
  });
});

describe('verdicts', () => {
  const wordsOf = (some: Report): string[] => verdicts(lookUp(some)).map(({ verdict }) => verdict);

  it('follow from the figures', () => {
    expect(wordsOf(report)).toEqual(['confirmed in part', 'confirmed in part']);
    expect(wordsOf(scaled(/^models\/[^/]+\/Transformer\+\+\/weights/, 3))[0]).toBe('confirmed');
    expect(wordsOf(scaled(/^models\/[^/]+\/Transformer\+\+\/(weights|memory of)/, 0.1))[0]).toBe('refuted');
    expect(wordsOf({ ...report, results: [] })).toEqual(['not measured', 'not measured']);
  });

  const latency = (factor: number, pattern = /^models\/2\.7B\/ternary\/\d threads?\/decode/) => verdicts(lookUp(scaled(pattern, factor)))[1]!;

  it.each([
    [1, 'confirmed in part', 'grows as the transformer does', 'no difference beyond the spread'],
    [1.5, 'confirmed', 'In milliseconds and in proportion', 'in proportion, less than the transformer'],
    [0.6, 'confirmed in part', 'when small it grows faster', 'in proportion, more than the transformer'],
    [0.05, 'refuted', 'The ternary model grows faster', 'ms more (more)'],
    [0.19, 'not confirmed', 'not beyond the spread', 'ms more (no difference beyond the spread)'],
  ])('say of latency what the numbers say: the largest ternary model %d times as fast', (factor, verdict, ...words) => {
    const found = latency(factor);
    expect(found.verdict).toBe(verdict);
    for (const some of words) expect(found.why.join(' ')).toContain(some);
  });

  it('of latency rest on all thread counts', () => {
    const found = latency(1.5, /^models\/2\.7B\/ternary\/1 thread\/decode/);
    expect(found.verdict).toBe('confirmed in part');
    expect(found.why[0]).toContain('in some of the measurements only');
    expect(found.why.filter((text) => /^With (1 thread|4 threads)/.test(text))).toHaveLength(2);
    expect(found.why.at(-1)).toMatch(/^The length of the text .* 32,768 tokens, a token comes to take 5\.7\d times as long with the transformer, as long as before with the ternary/);
  });

  it('compute their numbers from results', () => {
    const lookup = lookUp(report);
    const ms = (shape: string, name: string): number => 1000 / lookup.get(`models/${shape}/${name}/1 thread/decode at 1`)!.median;
    const [, told] = verdicts(lookup)[1]!.why;
    const [, more, theirs, times] = /That is ([\d.]+) ms more against ([\d.]+) ms more \(less\), and ([\d.]+) times/.exec(told!)!.map(Number);
    expect(more).toBeCloseTo(ms('2.7B', 'ternary') - ms('370M', 'ternary'), 1);
    expect(theirs).toBeCloseTo(ms('2.7B', 'Transformer++') - ms('370M', 'Transformer++'), 0);
    expect(times).toBeCloseTo(ms('2.7B', 'ternary') / ms('370M', 'ternary'), 2);
  });

  it('never round a ratio to the other side of what is claimed', () => {
    const weights = (ratio: number): string => {
      const changed = { ...report, results: report.results.map((result): Result => (/^models\/[^/]+\/Transformer\+\+\/weights$/.test(result.id)
        ? { ...result, median: ratio * lookUp(report).get(result.id.replace('Transformer++', 'ternary'))!.median } : result)) };
      return verdicts(lookUp(changed))[0]!.why[0]!;
    };
    expect(weights(9.9996)).toMatch(/takes 9\.9996 \(370M\).*: not more than 10\.$/);
    expect(weights(10.004)).toMatch(/takes 10\.004 \(370M\).*: more than 10 at every size\.$/);
    expect(weights(9.84)).toMatch(/takes 9\.84 \(370M\)/);
  });
});

describe('plans', () => {
  it('reckon with what has been', () => {
    const [first, ...others] = fullPlan(4).models;
    expect(expectedSeconds(first!, [])).toBe(0);
    const last = others.at(-1)!;
    const before = [{ run: first!, seconds: 80 }, { run: others[1]!, seconds: 50 }];
    expect(others[1]!.shape).toBe('1.3B');
    expect(expectedSeconds(others[0]!, before)).toBe(40); // the same shape, fewer tasks
    expect(expectedSeconds(last, before)).toBeCloseTo((50 * 2) / 3, 9); // no such shape yet
    expect(expectedSeconds(last, [...before, { run: last, seconds: 33 }])).toBe(33);
  });

  it('take the threads that there are', () => {
    expect([1, 2, 4, 6, 16].map(threadCounts)).toEqual([[1], [1, 2], [1, 2, 3, 4], [1, 2, 3, 4, 6], [1, 2, 3, 4, 8, 16]]);
    const runsOf = ({ models }: Plan): string[] => models.map(({ shape, threads, optional = false }) => `${shape} ${threads}${optional ? '?' : ''}`);
    expect(runsOf(quickPlan(1))).toEqual(['370M 1']);
    expect(runsOf(quickPlan(8))).toEqual(['370M 1', '370M 8?']);
    // What the claims are about comes first, and is never left out.
    expect(runsOf(fullPlan(4))).toEqual(['370M 1', '370M 4', '1.3B 1', '1.3B 4', '370M 2?', '370M 3?', '2.7B 1?', '2.7B 4?']);
    expect(runsOf(fullPlan(1))).toEqual(['370M 1', '1.3B 1', '2.7B 1?']);
    expect(runsOf(browserPlan(4, false))).toEqual(['370M 1', '370M 4']);
    for (const plan of [quickPlan(4), fullPlan(4)]) expect(plan.models.map(({ counts }) => counts)).toEqual(plan.models.map(({ threads }) => threads === 1));
    expect(browserPlan(4, false).models.map(({ positions }) => Math.max(...positions))).toEqual([4096, 1]);
    // Other kinds, and long texts of published shapes, with one thread.
    expect(fullPlan(2).models.filter(({ kinds = [] }) => kinds.length > 0).map(({ shape, threads }) => `${shape} ${threads}`)).toEqual(['370M 1']);
    expect(fullPlan(4).shapes.map(({ shape, threads, positions }) => `${shape}, ${threads}: ${positions.join()}`)).toEqual(
      ['Ternary Bonsai 1.7B', 'BitNet 2B4T', 'Bonsai 2 2B', 'Ternary Bonsai 4B'].flatMap((shape) => [`${shape}, 1: 1,4096`, `${shape}, 4: 1`]),
    );
    expect(browserPlan(1, false).shapes.map(({ shape }) => shape)).toEqual(['Ternary Bonsai 1.7B', 'BitNet 2B4T', 'Bonsai 2 2B']);
    expect(quickPlan(4).shapes.map(({ shape, threads }) => `${shape} ${threads}`)).toEqual(['Ternary Bonsai 1.7B 1']);
  });
});

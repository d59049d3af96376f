import { freemem } from 'node:os';
import type { BackendName } from 'matmulfree';
import { createFloatMatMulFree, createTernary, createTransformer, type Contestant } from './contestants.js';
import { collectGarbage, median, takeTurns } from './measure.js';
import { estimateEnergy } from './operations.js';
import { SHAPES, type ShapeName } from './random-model.js';
import { counted, speed, type Result } from './results.js';
import { createRoof, type Roof } from './roof.js';

export interface ModelSettings {
  readonly shape: ShapeName;
  readonly backend: Exclude<BackendName, 'scalar'>;
  readonly threads: number;
  /** Tokens of a prompt. */
  readonly prompt: number;
  /** Tokens before the one that is decoded; those that do not fit in memory are left out. */
  readonly positions: readonly number[];
  readonly rounds: number;
  readonly roundMs: number;
  /** Whether to tell sizes and operations too, which are the same with any number of threads. */
  readonly counts: boolean;
}

/** What other programs, the work space and JavaScript's own memory may take of what is free. */
const SPARE_BYTES = 2e9;

/** Whole models with random weights, alive at the same time and taking turns. @param note told what is left out, and why. */
export async function measureModels(settings: ModelSettings, onResult: (result: Result) => void, note: (text: string) => void): Promise<void> {
  const { shape, backend, threads, prompt, rounds, roundMs } = settings;
  collectGarbage(); // the models before
  const positions = thatFit(settings, note);
  if (positions.length === 0) return;
  const furthest = Math.max(...positions);
  const roof = await createRoof(threads);
  const contestants: Contestant[] = [];
  for (const create of [
    () => createTernary({ shape, threads }, backend),
    () => createFloatMatMulFree({ shape, threads }, backend),
    () => createTransformer({ shape, threads }, backend, furthest + prompt),
  ]) {
    const start = performance.now();
    const contestant = await create();
    contestants.push(contestant);
    onResult(counted(idOf(settings, contestant, 'seconds to make'), 's', (performance.now() - start) / 1000, 'lower', 0.5));
  }
  for (const contestant of contestants) contestant.reach(furthest);
  const ids = Array.from({ length: prompt }, (_, n) => n + 3);
  const tasks = contestants.flatMap((contestant) => [
    ...positions.map((position) => ({ contestant, name: `decode at ${position}`, tokens: 1, position, run: () => contestant.read([5], position) })),
    { contestant, name: `prefill ${prompt}`, tokens: prompt, position: undefined, run: () => contestant.read(ids, 0) },
  ]);
  const times = takeTurns([...tasks.map(({ run }) => run), roof.read.run, roof.compute.run], { rounds, roundMs });
  tellRoof(settings, roof, times.slice(tasks.length), onResult);
  const bytesPerMs = roof.read.bytes / median(times[tasks.length]);
  tasks.forEach(({ contestant, name, tokens, position }, n) => {
    onResult(speed(idOf(settings, contestant, name), 'tokens/s', tokens, times[n], threads));
    if (position !== undefined) {
      const share = contestant.costAt(position).bytes / median(times[n]) / bytesPerMs;
      onResult(counted(idOf(settings, contestant, `${name}/share of bandwidth`), '', share, 'higher', 0.15));
    }
  });
  for (const contestant of contestants) {
    if (settings.counts) tellCounts(shape, contestant, onResult);
    contestant.dispose();
  }
  roof.dispose();
}

/** Where sizes and operations are told, whether or not anything is measured there. */
const COUNT_POSITIONS = [1, 1024, 4096, 16_384, 32_768];

function tellCounts(shape: ShapeName, contestant: Contestant, onResult: (result: Result) => void): void {
  const id = (what: string): string => `models/${shape}/${contestant.name}/${what}`;
  onResult(counted(id('weights'), 'bytes', contestant.weightBytes));
  for (const position of COUNT_POSITIONS) {
    const cost = contestant.costAt(position);
    const { arithmetic, memory: [least, most] } = estimateEnergy(cost);
    onResult(counted(id(`memory of ${position} tokens`), 'bytes', contestant.memoryAt(position)));
    onResult(counted(id(`bytes read at ${position}`), 'bytes/token', cost.bytes));
    onResult(counted(id(`integer additions at ${position}`), '1/token', cost.integerAdditions));
    onResult(counted(id(`float additions at ${position}`), '1/token', cost.floatAdditions));
    onResult(counted(id(`float multiplications at ${position}`), '1/token', cost.floatMultiplications));
    onResult(counted(id(`energy of arithmetic at ${position} (estimate)`), 'mJ/token', arithmetic));
    onResult(counted(id(`energy of memory at ${position} (estimate, least)`), 'mJ/token', least));
    onResult(counted(id(`energy of memory at ${position} (estimate, most)`), 'mJ/token', most));
  }
}

function tellRoof({ shape, threads }: ModelSettings, { read, compute }: Roof, [reads, computes]: readonly number[][], onResult: (result: Result) => void): void {
  onResult(speed(`machine/beside ${shape}/memory bandwidth/${threadsOf(threads)}`, 'bytes/s', read.bytes, reads, threads));
  onResult(speed(`machine/beside ${shape}/float32 operations/${threadsOf(threads)}`, '1/s', compute.operations, computes, threads));
}

const threadsOf = (threads: number): string => `${threads} ${threads === 1 ? 'thread' : 'threads'}`;

function idOf({ shape, threads }: ModelSettings, { name }: Contestant, what: string): string {
  return `models/${shape}/${name}/${threadsOf(threads)}/${what}`;
}

/** Those positions for which both float models and the cache of one fit in what memory is free. */
function thatFit({ shape, prompt, positions }: ModelSettings, note: (text: string) => void): readonly number[] {
  const [hidden, intermediate, layers] = SHAPES[shape];
  const weights = 4 * (layers * (4 * hidden * hidden + 3 * hidden * intermediate) + 2 * 32_000 * hidden);
  const available = freemem() - SPARE_BYTES - 2 * weights;
  const fit = positions.filter((position) => (position + prompt) * layers * 2 * hidden * 4 <= available);
  const left = positions.filter((position) => !fit.includes(position));
  if (left.length > 0) note(`${shape}: left out for lack of memory: ${left.join(', ')} tokens before the decoded one`);
  return fit;
}

import type { BackendName } from 'matmulfree';
import { createFloatMatMulFree, createKind, createTernary, createTransformer, type Contestant } from './contestants.js';
import type { Host, Listener } from './host.js';
import { floatWeightBytes, keyValueBytes } from './operations.js';
import { sizesOf, type Kind, type ShapeName } from './random-model.js';
import { counted, ONCE_NOISE, share, speed, tellCost } from './results.js';
import { createRoof, type Roof } from './roof.js';
import { takeTurns } from './turns.js';

export interface ModelSettings {
  readonly shape: ShapeName;
  readonly backend: Exclude<BackendName, 'scalar'>;
  readonly threads: number;
  /** Default: all of the published model. */
  readonly layers?: number | undefined;
  /** Ternary models of other kinds, which take part as well. */
  readonly kinds?: readonly Kind[] | undefined;
  /** Tokens of a prompt. */
  readonly prompt: number;
  /** Tokens before the one that is decoded; those that do not fit in memory are left out. */
  readonly positions: readonly number[];
  /** Texts that are continued at once. */
  readonly batches: readonly number[];
  readonly rounds: number;
  readonly roundMs: number;
  /** Rounds are fewer when they would take longer. */
  readonly seconds: number;
  /** Whether to tell sizes and operations too, which are the same with any number of threads. */
  readonly counts: boolean;
}

/** What other programs, the work space and JavaScript's own memory may take of what is free. */
const SPARE_BYTES = 2e9;

/** Whole models with random weights, alive at the same time and taking turns. */
export async function measureModels(settings: ModelSettings, host: Host, tell: Listener): Promise<void> {
  const { shape, layers, backend, threads, kinds = [], prompt, batches, rounds, roundMs, seconds } = settings;
  host.collectGarbage(); // the models before
  const { positions, both } = whatFits(settings, host.freeBytes(), tell);
  if (positions.length === 0) return;
  const furthest = Math.max(...positions);
  const roof = await createRoof(threads);
  const contestants: Contestant[] = [];
  for (const create of [
    () => createTernary({ shape, layers, threads }, backend),
    ...(both ? [() => createFloatMatMulFree({ shape, layers, threads }, backend)] : []),
    () => createTransformer({ shape, layers, threads }, backend, Math.max(furthest + 1, prompt, ...batches)),
    ...kinds.map((kind) => () => createKind(kind, { shape, layers, threads }, backend, positions, prompt)),
  ]) {
    const start = performance.now();
    const contestant = await create();
    contestants.push(contestant);
    tell.result(counted(idOf(settings, contestant, 'seconds to make'), 's', (performance.now() - start) / 1000, 'lower', ONCE_NOISE));
  }
  for (const contestant of contestants) contestant.reach(furthest);
  const tasks = [...positions.map(decodeAt), prefill(prompt), ...batches.map(batchOf)].flatMap((create) => contestants.map(create));
  const times = takeTurns([...tasks.map(({ run }) => run), roof.read.run, roof.compute.run], { rounds, roundMs, seconds });
  const [reads, computes] = times.slice(tasks.length);
  if (reads.length < rounds) tell.note(`${shape}, ${threadsOf(threads)}: ${reads.length} rounds of ${rounds}, for lack of time`);
  tellRoof(settings, roof, [reads, computes], tell);
  tasks.forEach(({ contestant, name, tokens, position }, n) => {
    tell.result(speed(idOf(settings, contestant, name), 'tokens/s', tokens, times[n], threads));
    if (position === undefined) return;
    const { bytes } = contestant.costAt(position);
    tell.result(share(idOf(settings, contestant, `${name}/share of bandwidth`), bytes, times[n], roof.read.bytes, reads, threads));
  });
  for (const contestant of contestants) {
    checkLogits(shape, contestant.name, contestant.read([5], positions[0]));
    if (settings.counts) tellCounts(shape, contestant, tell);
    contestant.dispose();
  }
  roof.dispose();
}

/** What was timed has computed something: numbers, and not one number everywhere. */
function checkLogits(shape: ShapeName, name: string, logits: Float32Array): void {
  if (!logits.every(Number.isFinite) || logits.every((logit) => logit === logits[0])) throw new Error(`${shape} ${name}: its logits are not those of a model`);
}

/** Something that a contestant does, as often as it is asked to. */
interface Task {
  readonly contestant: Contestant;
  readonly name: string;
  /** Of a run. */
  readonly tokens: number;
  readonly position?: number;
  readonly run: () => void;
}

const decodeAt = (position: number) => (contestant: Contestant): Task =>
  ({ contestant, name: `decode at ${position}`, tokens: 1, position, run: () => contestant.read([5], position) });

const idsOf = (count: number): readonly number[] => Array.from({ length: count }, (_, n) => n + 3);

const prefill = (prompt: number) => (contestant: Contestant): Task => {
  const ids = idsOf(prompt);
  return { contestant, name: `prefill ${prompt}`, tokens: prompt, run: () => contestant.read(ids, 0) };
};

const batchOf = (count: number) => (contestant: Contestant): Task => {
  const ids = idsOf(count);
  return { contestant, name: `batch of ${count}`, tokens: count, run: () => contestant.readEach(ids) };
};

/** Where sizes and operations are told, whether or not anything is measured there. */
const COUNT_POSITIONS = [1, 1024, 4096, 16_384, 32_768];

function tellCounts(shape: ShapeName, contestant: Contestant, tell: Listener): void {
  const id = (what: string): string => `models/${shape}/${contestant.name}/${what}`;
  tell.result(counted(id('weights'), 'bytes', contestant.weightBytes));
  for (const position of COUNT_POSITIONS) {
    tell.result(counted(id(`memory of ${position} tokens`), 'bytes', contestant.memoryAt(position)));
    tellCost(id, position, contestant.costAt(position), tell);
  }
}

function tellRoof({ shape, threads }: ModelSettings, { read, compute }: Roof, [reads, computes]: readonly number[][], tell: Listener): void {
  tell.result(speed(`machine/beside ${shape}/memory bandwidth/${threadsOf(threads)}`, 'bytes/s', read.bytes, reads, threads));
  tell.result(speed(`machine/beside ${shape}/float32 operations/${threadsOf(threads)}`, '1/s', compute.operations, computes, threads));
}

export const threadsOf = (threads: number): string => `${threads} ${threads === 1 ? 'thread' : 'threads'}`;

function idOf({ shape, threads }: ModelSettings, { name }: Contestant, what: string): string {
  return `models/${shape}/${name}/${threadsOf(threads)}/${what}`;
}

/** Those positions for which the float models and the cache of one fit in what memory is free; and whether both float models do. */
function whatFits(
  { shape, layers, kinds = [], prompt, positions }: ModelSettings, free: number, { note }: Listener,
): { readonly positions: readonly number[]; readonly both: boolean } {
  const sizes = sizesOf(shape, layers);
  const weights = floatWeightBytes(sizes);
  const nearest = keyValueBytes(sizes, Math.min(...positions) + prompt);
  const both = free - SPARE_BYTES >= 2 * weights + nearest;
  const available = free - SPARE_BYTES - (both ? 2 : 1) * weights;
  // Keys and values of another kind are in half as many bits, of a quarter of the heads or in a window, but for each position anew.
  const perToken = 1 + kinds.length / 4;
  const fit = positions.filter((position) => perToken * keyValueBytes(sizes, position + prompt) <= available);
  const left = positions.filter((position) => !fit.includes(position));
  if (fit.length === 0) note(`${shape}: left out for lack of memory (${(free / 1e9).toFixed(1)} GB are free)`);
  else if (!both) note(`${shape}: float MatMul-free left out for lack of memory beside the transformer (${(free / 1e9).toFixed(1)} GB are free)`);
  if (fit.length > 0 && left.length > 0) note(`${shape}: left out for lack of memory: ${left.join(', ')} tokens before the decoded one`);
  return { positions: fit, both };
}

import type { BackendName, Blueprint } from 'matmulfree';
import { ternaryTensors } from '../src/architectures/blueprint.js';
import { createOfLibrary } from './contestants.js';
import type { Host, Listener } from './host.js';
import type { Peer, PeerOptions } from './peers.js';
import { publishedShape } from './published-shapes.js';
import { randomWeightsOf } from './random-model.js';
import { counted, duration, ONCE_NOISE, share, speed, tellCost } from './results.js';
import { createRoof } from './roof.js';
import { threadsOf } from './suite-models.js';
import { takeTimedTurns, timedTask } from './turns.js';

export interface ShapeSettings {
  /** Of `PUBLISHED_SHAPES`. */
  readonly shape: string;
  readonly backend: Exclude<BackendName, 'scalar'>;
  readonly threads: number;
  /** Default: all of the published model. */
  readonly layers?: number | undefined;
  readonly prompt: number;
  /** Tokens before the one that is decoded. */
  readonly positions: readonly number[];
  readonly rounds: number;
  readonly roundMs: number;
  /** Rounds are fewer when they would take longer. */
  readonly seconds: number;
  /** Whether to tell sizes and operations too. */
  readonly counts: boolean;
}

/** Opens other engines on the shape, where there are any. */
export type OpenPeers = (options: Omit<PeerOptions, 'peers' | 'files'>, note: (text: string) => void) => Promise<Peer[]>;

const SPARE_BYTES = 2e9;
/** Lengths of texts whose memory is told. */
const LENGTHS = [256, 4096, 32_768];
/** Tokens that another engine decodes in a round. */
const WRITTEN = 16;

/** The shape of a model that people use, with random weights: this library, and other engines in turns with it. */
export async function measureShape(settings: ShapeSettings, host: Host, tell: Listener, openPeers?: OpenPeers): Promise<void> {
  const { shape, backend, threads, prompt, positions, rounds, roundMs, seconds } = settings;
  host.collectGarbage(); // the model before
  const { layers: all, blueprint: describe } = publishedShape(shape);
  const blueprint = await describe(settings.layers ?? all);
  if (!blueprint) return tell.note(`${shape}: left out, as this version does not know the family`);
  if (bytesWanted(blueprint) + SPARE_BYTES > host.freeBytes()) return tell.note(`${shape}: left out for lack of memory (${(host.freeBytes() / 1e9).toFixed(1)} GB are free)`);
  const idOf = (who: string) => (what: string): string => `shapes/${shape}/${who}/${threadsOf(threads)}/${what}`;
  const before = host.residentBytes?.();
  const start = performance.now();
  const ours = await createOfLibrary('ours', randomWeightsOf(blueprint), { backend, threads, positions, prompt });
  tell.result(counted(idOf('ours')('seconds to make'), 's', (performance.now() - start) / 1000, 'lower', ONCE_NOISE));
  const resident = host.residentBytes?.();
  const ids = Array.from({ length: prompt }, (_, n) => n + 3);
  const roof = await createRoof(threads);
  const decodes = positions.map((position) => timedTask(() => ours.read([5], position), roundMs));
  const tasks = [...decodes, timedTask(() => ours.read(ids, 0), roundMs), timedTask(roof.read.run, roundMs)];
  const peers = (await openPeers?.({ name: shape, blueprint, threads, prompt, written: WRITTEN }, tell.note)) ?? [];
  const times = await takeTimedTurns([...tasks, ...peers.flatMap(({ decode, prompt: read }) => [decode, read])], { rounds, seconds });
  const [prefills, reads] = times.slice(positions.length);
  if (reads.length < rounds) tell.note(`${shape}, ${threadsOf(threads)}: ${reads.length} rounds of ${rounds}, for lack of time`);

  const id = idOf('ours');
  positions.forEach((position, n) => {
    const name = id(`decode at ${position}`);
    tell.result(speed(name, 'tokens/s', 1, times[n], threads));
    tell.result(share(`${name}/share of bandwidth`, ours.costAt(position).bytes, times[n], roof.read.bytes, reads, threads));
  });
  tell.result(speed(id(`prefill ${prompt}`), 'tokens/s', prompt, prefills, threads));
  tell.result(duration(id(`first token of ${prompt}`), prefills));
  tell.result(speed(`machine/beside ${shape}/memory bandwidth/${threadsOf(threads)}`, 'bytes/s', roof.read.bytes, reads, threads));
  peers.forEach((peer, n) => {
    const [decode, read] = times.slice(tasks.length + 2 * n);
    tell.result(speed(idOf(peer.name)('decode at 1'), 'tokens/s', 1, decode, threads));
    tell.result(speed(idOf(peer.name)(`prefill ${prompt}`), 'tokens/s', peer.promptTokens, read, threads));
  });
  const logits = ours.read([5], 0);
  if (!logits.every(Number.isFinite) || logits.every((logit) => logit === logits[0])) throw new Error(`${shape}: its logits are not those of a model`);
  const told = (what: string): string => `shapes/${shape}/ours/${what}`;
  if (settings.counts) {
    if (before !== undefined && resident !== undefined) tell.result(counted(told('resident'), 'bytes', resident - before, 'lower', RESIDENT_NOISE));
    tell.result(counted(told('weights'), 'bytes', ours.weightBytes));
    for (const length of LENGTHS) tell.result(counted(told(`memory of ${length} tokens`), 'bytes', ours.memoryAt(length)));
    for (const position of positions) tellCost(told, position, ours.costAt(position), tell);
  }
  for (const peer of peers) await peer.dispose();
  ours.dispose();
  roof.dispose();
}

/** Made weights are in place, and caches of other models may have gone meanwhile. */
const RESIDENT_NOISE = 0.2;

/** Of weights, about: a quarter of a byte each with scales, two where they are a table of floats; and as much again for keys and values and what peers take. */
function bytesWanted(blueprint: Blueprint): number {
  const sizeOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);
  const ternary = ternaryTensors(blueprint).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  return 2 * (0.3 * ternary + (blueprint.embeddings.isGrouped ? 0 : 2 * sizeOf(blueprint.embeddings.shape)));
}

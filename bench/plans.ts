import type { KernelSettings } from './suite-kernels.js';
import type { LayerSettings } from './suite-layers.js';
import type { MemorySettings } from './suite-memory.js';
import type { ModelSettings } from './suite-models.js';
import type { QualitySettings } from './suite-quality.js';
import { KINDS } from './random-model.js';
import type { ShapeSettings } from './suite-shapes.js';
import { PUBLISHED_SHAPES } from './published-shapes.js';

/** What a run consists of. Backends and fewer layers are chosen when it runs. */
export interface Plan {
  /** What would take longer is left out: rounds beyond a few, and models that are optional. */
  readonly seconds: number;
  readonly quality: Omit<QualitySettings, 'backend'>;
  readonly kernels: Omit<KernelSettings, 'backends'> & { readonly allBackends: boolean };
  readonly memory: readonly Omit<MemorySettings, 'backend' | 'layers'>[];
  readonly layers: readonly Omit<LayerSettings, 'backend' | 'layers'>[];
  /** In order: what the paper's claims are about comes first. */
  readonly models: readonly ModelRun[];
  readonly shapes: readonly Omit<ShapeSettings, 'backend' | 'layers'>[];
}

export interface ModelRun extends Omit<ModelSettings, 'backend' | 'layers'> {
  readonly optional?: boolean;
}

/** How long a run may take, by those before it: the last one with its shape, or else the last one. */
export function expectedSeconds(run: ModelRun, before: readonly { readonly run: ModelRun; readonly seconds: number }[]): number {
  const like = before.filter((one) => one.run.shape === run.shape).at(-1) ?? before.at(-1);
  const tasksOf = ({ positions, batches }: ModelRun): number => positions.length + batches.length + 1;
  // Half of it is making the models, or nearly.
  return like ? like.seconds * Math.max(0.5, tasksOf(run) / tasksOf(like.run)) : 0;
}

/** All of a model with the first number of threads; with the others, decoding at the first position and the prompt. */
function runsOf(model: Omit<ModelRun, 'threads' | 'counts'>, threads: readonly number[], seconds = model.seconds): ModelRun[] {
  return threads.map((count, n) => (n === 0
    ? { ...model, threads: count, counts: true }
    : { ...model, threads: count, counts: false, seconds, positions: model.positions.slice(0, 1), batches: [], kinds: [] }));
}

/** All of a published shape with one thread; with the others, decoding at the first position and the prompt. */
function shapesOf(names: readonly string[], run: Omit<ShapeSettings, 'shape' | 'threads' | 'counts' | 'backend' | 'layers'>, threads: readonly number[]): Plan['shapes'] {
  return names.flatMap((shape) => threads.map((count, n) => ({ ...run, shape, threads: count, counts: n === 0, ...(n > 0 ? { positions: run.positions.slice(0, 1) } : {}) })));
}

/** 1, 2, 3, 4, 8, 16, … and as many as there are. */
export function threadCounts(processors: number): readonly number[] {
  const some = [1, 2, 3, 4, 8, 16, 32, 64, 128].filter((count) => count < processors);
  return [...some, processors];
}

/** A minute and a half. */
export function quickPlan(processors: number): Plan {
  const [one, ...most] = runsOf(
    { shape: '370M', prompt: 32, positions: [1, 1024], batches: [1, 8], rounds: 5, roundMs: 60, seconds: 16, kinds: KINDS }, [...new Set([1, processors])], 6,
  );
  return {
    seconds: 55,
    quality: { stories: 10, rounds: 7, roundMs: 50 },
    kernels: { only: '370M gate_proj', tokens: [1, 32], allBackends: false, rounds: 7, roundMs: 30, seconds: 6 },
    memory: [],
    layers: [],
    models: [one, ...most.map((run) => ({ ...run, optional: true }))],
    shapes: shapesOf(['Ternary Bonsai 1.7B'], { prompt: 32, positions: [1, 1024], rounds: 3, roundMs: 60, seconds: 10 }, [1]),
  };
}

/** Of parts but shapes: what is optional is left out beyond ten minutes. */
export function fullPlan(processors: number): Plan {
  const ends = [...new Set([1, processors])];
  const small = runsOf(
    { shape: '370M', prompt: 128, positions: [1, 1024, 4096, 16_384, 32_768], batches: [1, 2, 4, 8, 16, 32], rounds: 7, roundMs: 80, seconds: 110, kinds: KINDS },
    threadCounts(processors), 20,
  );
  const medium = runsOf({ shape: '1.3B', prompt: 32, positions: [1, 4096], batches: [], rounds: 5, roundMs: 80, seconds: 40 }, ends, 25);
  const large = runsOf({ shape: '2.7B', prompt: 32, positions: [1], batches: [], rounds: 5, roundMs: 80, seconds: 35 }, ends, 25);
  return {
    seconds: 560,
    quality: { stories: 100, rounds: 11, roundMs: 100 },
    kernels: { only: '', tokens: [1, 32], allBackends: true, rounds: 7, roundMs: 30, seconds: 10 },
    memory: [
      { shape: '370M', names: ['ternary', 'float MatMul-free', 'Transformer++'], fromFiles: true, position: 32_768 },
      { shape: '1.3B', names: ['ternary', 'Transformer++'], fromFiles: false, position: 32_768 },
    ],
    layers: [{ shape: '370M', positions: [1, 4096], rounds: 15 }],
    models: [
      ...small.filter(({ threads }) => ends.includes(threads)), ...medium,
      ...[...small.filter(({ threads }) => !ends.includes(threads)), ...large].map((run) => ({ ...run, optional: true })),
    ],
    shapes: shapesOf(PUBLISHED_SHAPES.map(({ name }) => name), { prompt: 128, positions: [1, 4096], rounds: 5, roundMs: 600, seconds: 40 }, ends),
  };
}

/** What a page does not get the memory for everywhere. */
const LARGEST_SHAPE = 'Ternary Bonsai 4B';

/** In a browser, whose memory is what one page gets. */
export function browserPlan(processors: number, quick: boolean): Plan {
  const plan = quick ? quickPlan(processors) : fullPlan(processors);
  return {
    ...plan,
    memory: [],
    kernels: { ...plan.kernels, only: quick ? plan.kernels.only : '370M' },
    layers: [],
    models: plan.models.filter(({ shape, threads }) => shape === '370M' && (threads === 1 || threads === processors))
      .map((run) => ({ ...run, positions: run.positions.filter((position) => position <= 4096) })),
    shapes: plan.shapes.filter(({ shape }) => shape !== LARGEST_SHAPE),
  };
}

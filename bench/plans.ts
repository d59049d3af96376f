import type { KernelSettings } from './suite-kernels.js';
import type { LayerSettings } from './suite-layers.js';
import type { MemorySettings } from './suite-memory.js';
import type { ModelSettings } from './suite-models.js';
import type { QualitySettings } from './suite-quality.js';

/** What a run consists of. Backends and fewer layers are chosen when it runs. */
export interface Plan {
  readonly quality: Omit<QualitySettings, 'backend'>;
  readonly kernels: Omit<KernelSettings, 'backends'> & { readonly allBackends: boolean };
  readonly memory: readonly Omit<MemorySettings, 'backend' | 'layers'>[];
  readonly layers: readonly Omit<LayerSettings, 'backend' | 'layers'>[];
  readonly models: readonly ModelPlan[];
}

export interface ModelPlan extends Omit<ModelSettings, 'backend' | 'layers' | 'threads' | 'counts'> {
  /** With the first count all is measured; with the others, decoding at the first position and the prompt. */
  readonly threads: readonly number[];
}

/** 1, 2, 3, 4, 8, 16, … and as many as there are. */
export function threadCounts(processors: number): readonly number[] {
  const some = [1, 2, 3, 4, 8, 16, 32, 64, 128].filter((count) => count < processors);
  return [...some, processors];
}

/** Under a minute. */
export function quickPlan(processors: number): Plan {
  return {
    quality: { stories: 10, rounds: 7, roundMs: 50 },
    kernels: { only: '370M gate_proj', tokens: [1, 32], allBackends: false, rounds: 7, roundMs: 30 },
    memory: [],
    layers: [],
    models: [{
      shape: '370M', prompt: 32, positions: [1, 1024], batches: [1, 8], rounds: 5, roundMs: 80, threads: [...new Set([1, processors])],
    }],
  };
}

/** Under ten minutes. */
export function fullPlan(processors: number): Plan {
  const ends = [...new Set([1, processors])];
  return {
    quality: { stories: 100, rounds: 11, roundMs: 100 },
    kernels: { only: '', tokens: [1, 32], allBackends: true, rounds: 7, roundMs: 30 },
    memory: [
      { shape: '370M', names: ['ternary', 'float MatMul-free', 'Transformer++'], fromFiles: true, position: 32_768 },
      { shape: '1.3B', names: ['ternary', 'Transformer++'], fromFiles: false, position: 32_768 },
    ],
    layers: [{ shape: '370M', positions: [1, 4096], rounds: 15 }],
    models: [
      {
        shape: '370M', prompt: 128, positions: [1, 1024, 4096, 16_384, 32_768], batches: [1, 2, 4, 8, 16, 32], rounds: 7, roundMs: 80,
        threads: threadCounts(processors),
      },
      { shape: '1.3B', prompt: 64, positions: [1, 4096], batches: [], rounds: 5, roundMs: 80, threads: ends },
      { shape: '2.7B', prompt: 32, positions: [1], batches: [], rounds: 5, roundMs: 80, threads: ends },
    ],
  };
}

/** In a browser, whose memory is what one page gets. */
export function browserPlan(processors: number, quick: boolean): Plan {
  const plan = quick ? quickPlan(processors) : fullPlan(processors);
  return {
    ...plan,
    memory: [],
    kernels: { ...plan.kernels, only: quick ? plan.kernels.only : '370M' },
    layers: [],
    models: plan.models.slice(0, 1).map((model) => (
      { ...model, positions: model.positions.filter((position) => position <= 4096), threads: [...new Set([1, processors])] }
    )),
  };
}

import { availableBackends } from 'matmulfree';
import type { Host, Listener } from './host.js';
import { expectedSeconds, type ModelRun, type Plan } from './plans.js';
import { measureKernels } from './suite-kernels.js';
import { measureLayers } from './suite-layers.js';
import { measureModels, threadsOf } from './suite-models.js';
import { measureQuality } from './suite-quality.js';
import { measureShape, type OpenPeers } from './suite-shapes.js';
import type { MemorySettings } from './suite-memory.js';

/** In the order in which they run: what needs room comes before what leaves little. */
export const PARTS = ['quality', 'kernels', 'memory', 'layers', 'models', 'shapes'] as const;
export type Part = (typeof PARTS)[number];

export interface RunOptions {
  readonly parts: readonly Part[];
  /** Fewer layers than the models have: to try the suite out. */
  readonly layers?: number | undefined;
  /** How to measure resident memory, where there are processes. */
  readonly measureMemory?: (settings: MemorySettings, host: Host, tell: Listener) => Promise<void>;
  /** Other engines that take turns with this library on the shapes of models that people use. */
  readonly openPeers?: OpenPeers | undefined;
}

/** Measures what `plan` says. @returns seconds by part. */
export async function runPlan(plan: Plan, host: Host, tell: Listener, options: RunOptions): Promise<Record<string, number>> {
  const { layers, measureMemory, openPeers } = options;
  const began = performance.now();
  const backends = (await availableBackends()).filter((name) => name !== 'scalar');
  const backend = backends.at(-1) ?? 'simd'; // the fastest one
  const run: Record<Part, () => Promise<void>> = {
    quality: () => measureQuality({ ...plan.quality, backend }, host, tell),
    kernels: () => measureKernels({ ...plan.kernels, backends: plan.kernels.allBackends ? backends : [backend] }, tell),
    async memory() {
      for (const settings of measureMemory ? plan.memory : []) await measureMemory!({ ...settings, layers, backend }, host, tell);
    },
    async layers() {
      for (const settings of plan.layers) await measureLayers({ ...settings, layers, backend }, host, tell);
    },
    async models() {
      const before: { run: ModelRun; seconds: number }[] = [];
      for (const modelRun of plan.models) {
        const { optional = false, ...settings } = modelRun;
        const start = performance.now();
        if (optional && (start - began) / 1000 + expectedSeconds(modelRun, before) > plan.seconds) {
          tell.note(`${settings.shape}, ${threadsOf(settings.threads)}: left out for lack of time`);
          continue;
        }
        await measureModels({ ...settings, layers, backend }, host, tell);
        before.push({ run: modelRun, seconds: (performance.now() - start) / 1000 });
      }
    },
    async shapes() {
      for (const settings of plan.shapes) await measureShape({ ...settings, layers, backend }, host, tell, openPeers);
    },
  };
  const seconds: Record<string, number> = {};
  for (const part of PARTS.filter((name) => options.parts.includes(name))) {
    const start = performance.now();
    try {
      await run[part]();
    } catch (error) {
      tell.failure(`${part} failed: ${error instanceof Error ? error.message : String(error)}`); // the other parts are still worth having
    }
    seconds[part] = (performance.now() - start) / 1000;
  }
  return seconds;
}

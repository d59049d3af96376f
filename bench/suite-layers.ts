import { createKernels, type BackendName, type Kernels } from 'matmulfree';
import { buildFloatMatMulFree } from './baselines/float-matmulfree.js';
import type { FloatKernels } from './baselines/float-kernels.js';
import type { FloatModel } from './baselines/float-model.js';
import { CHUNK_TOKENS } from './baselines/build-model.js';
import { randomWeights, transformerOf } from './baselines/random-transformer.js';
import { buildTransformer } from './baselines/transformer.js';
import type { Host, Listener } from './host.js';
import { LAYER_PARTS } from './layer-parts.js';
import { randomCheckpoint, randomModel, type ShapeName } from './random-model.js';
import { duration } from './results.js';
import { bitLinears } from './ternary-parts.js';

/*
 * Where the time of a decoded token goes: every call of a kernel is timed where it happens, in a whole model, so that weights stream from
 * memory as they do there. One thread.
 */

export interface LayerSettings {
  readonly shape: ShapeName;
  readonly layers?: number | undefined;
  readonly backend: Exclude<BackendName, 'scalar'>;
  /** Tokens before the decoded one. */
  readonly positions: readonly number[];
  readonly rounds: number;
}

type Part = (typeof LAYER_PARTS)[number];

/** Milliseconds of a token by part. */
type Split = Record<Part, number>;
const NOTHING: Split = { 'token mixer products': 0, 'attention or recurrence': 0, 'channel mixer products': 0, head: 0, 'all else': 0 };

/** Which kernels mix along the sequence. Products are told apart by their matrices; what is neither is "all else". */
const MIXING: readonly string[] = ['attention', 'mlgruRecurrence', 'rotate', 'store'] satisfies (keyof FloatKernels)[];
const PRODUCTS: readonly string[] = ['matmul', 'ternaryMatmul'] satisfies (keyof FloatKernels | keyof Kernels)[];

/** Adds up what kernels take. */
interface Watch {
  split: Split;
  /** Matrices that are not the token mixers'. */
  readonly matrices: Map<unknown, Part>;
}

/** The same kernels, timed. */
function timed<K extends Kernels | FloatKernels>(kernels: K, watch: Watch): K {
  const methods = Object.entries(kernels).map(([name, method]: [string, unknown]) => {
    const isProduct = PRODUCTS.includes(name);
    if (typeof method !== 'function' || !(isProduct || MIXING.includes(name))) return [name, method];
    return [name, (...args: readonly unknown[]): void => {
      const part = isProduct ? (watch.matrices.get(args[0]) ?? 'token mixer products') : 'attention or recurrence';
      const start = performance.now();
      method.apply(kernels, args); // and so the kernels are not collected, which would end their threads
      watch.split[part] += performance.now() - start;
    }];
  });
  return Object.fromEntries(methods) as K;
}

interface Watched {
  readonly name: string;
  readonly watch: Watch;
  decode(position: number): void;
  dispose(): void;
}

const newWatch = (): Watch => ({ split: { ...NOTHING }, matrices: new Map() });

async function watchTernary({ shape, layers, backend }: LayerSettings): Promise<Watched> {
  const watch = newWatch();
  const kernels = timed(await createKernels({ backend, threads: 1 }), watch);
  const model = await randomModel(kernels, shape, layers);
  const linears = bitLinears(model);
  linears.forEach(({ weight }, n) => {
    if (n === linears.length - 1) watch.matrices.set(weight, 'head');
    else if (n % 6 >= 4) watch.matrices.set(weight, 'channel mixer products');
  });
  const state = model.createState();
  const out = new Float32Array(model.parts.config.vocabSize);
  return { name: 'ternary', watch, decode: () => model.forwardLast([5], state, out), dispose: () => kernels.dispose() };
}

async function watchFloat(name: string, build: (watch: (kernels: FloatKernels) => FloatKernels) => Promise<FloatModel>, furthest: number): Promise<Watched> {
  const watch = newWatch();
  const model = await build((kernels) => timed(kernels, watch));
  for (const { layers } of model.parts.stages) {
    for (const { gateUp, down } of layers) {
      for (const { matrix } of [gateUp, down]) watch.matrices.set(matrix, 'channel mixer products');
    }
  }
  watch.matrices.set(model.parts.head.matrix, 'head');
  model.pretend(furthest);
  return {
    name, watch,
    decode(position) {
      model.position = position;
      model.forward([5]);
    },
    dispose: () => model.dispose(),
  };
}

const WARM_UP_TOKENS = 4;

export async function measureLayers(settings: LayerSettings, host: Host, tell: Listener): Promise<void> {
  const { shape, layers, backend, positions, rounds } = settings;
  host.collectGarbage();
  const furthest = Math.max(...positions);
  const options = { backend, threads: 1 } as const;
  const models = [
    await watchTernary(settings),
    await watchFloat('float MatMul-free', (watch) => buildFloatMatMulFree(randomCheckpoint(shape, layers), { ...options, watch }), 0),
    await watchFloat('Transformer++', (watch) => (
      buildTransformer(transformerOf(shape, layers), randomWeights(1), furthest + CHUNK_TOKENS, { ...options, watch })
    ), furthest),
  ];
  for (const position of positions) {
    const splits = models.map((): Split[] => []);
    for (let round = -WARM_UP_TOKENS; round < rounds; round++) {
      models.forEach(({ watch, decode }, n) => {
        watch.split = { ...NOTHING };
        const start = performance.now();
        decode(position);
        const total = performance.now() - start;
        const known = LAYER_PARTS.reduce((sum, part) => sum + watch.split[part], 0);
        if (round >= 0) splits[n].push({ ...watch.split, 'all else': total - known });
      });
    }
    models.forEach(({ name }, n) => {
      for (const part of LAYER_PARTS) tell.result(duration(`layers/${shape}/${name}/${part} at ${position}`, splits[n].map((split) => split[part])));
    });
  }
  for (const { dispose } of models) dispose();
}

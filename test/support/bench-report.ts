import { SHAPES, sizesOf, type ShapeName } from '../../bench/random-model.js';
import { LAYER_PARTS } from '../../bench/layer-parts.js';
import { floatMatMulFreeCost, floatWeightBytes, keyValueBytes, transformerCost, type TokenCost } from '../../bench/operations.js';
import { PUBLISHED_SHAPES } from '../../bench/published-shapes.js';
import { counted, duration, speed, tellCost, type Report, type Result } from '../../bench/results.js';
import { QUOTED } from '../../bench/trained-models.js';

/*
 * A report such as a full run makes, with made-up speeds: what tests draw. Bandwidth 28 GB/s a thread; the ternary models reach a third of
 * it, the float ones nine tenths.
 */

const BANDWIDTH = 28e9;
const NAMES = ['ternary', 'float MatMul-free', 'Transformer++'] as const;
const POSITIONS = [1, 1024, 4096, 16_384, 32_768];
const threadsOf = (threads: number): string => `${threads} ${threads === 1 ? 'thread' : 'threads'}`;
const around = (ms: number): number[] => [0.97, 0.98, 0.99, 1, 1, 1.02, 1.06].map((factor) => factor * ms);

function costAt(shape: ShapeName, name: (typeof NAMES)[number], position: number) {
  const sizes = sizesOf(shape);
  const streamed = floatWeightBytes(sizes) - 4 * sizes.vocab * sizes.hidden;
  if (name === 'Transformer++') return transformerCost(sizes, streamed, position);
  if (name === 'float MatMul-free') return floatMatMulFreeCost(sizes, streamed);
  return { integerAdditions: streamed / 6, floatAdditions: 3.5e6, floatMultiplications: 3.5e6, bytes: streamed / 16 + 2e5 };
}

function millisecondsAt(shape: ShapeName, name: (typeof NAMES)[number], position: number, threads: number): number {
  const share = name === 'ternary' ? 0.33 : 0.9;
  const gain = name === 'ternary' ? 0.9 * threads + 0.1 : Math.min(threads, 1 + 0.35 * (threads - 1));
  return (1000 * costAt(shape, name, position).bytes) / (BANDWIDTH * share * gain);
}

function* models(): Generator<Result> {
  for (const shape of Object.keys(SHAPES) as ShapeName[]) {
    const isSmall = shape === '370M';
    for (const threads of isSmall ? [1, 2, 3, 4] : [1, 4]) {
      yield speed(`machine/beside ${shape}/memory bandwidth/${threadsOf(threads)}`, 'bytes/s', BANDWIDTH, around(1000 / (1 + 0.35 * (threads - 1))), threads);
      for (const name of NAMES) {
        if (shape === '2.7B' && name === 'float MatMul-free') continue;
        const id = (what: string): string => `models/${shape}/${name}/${threadsOf(threads)}/${what}`;
        for (const position of isSmall && threads === 1 ? POSITIONS : [1]) {
          yield speed(id(`decode at ${position}`), 'tokens/s', 1, around(millisecondsAt(shape, name, position, threads)), threads);
        }
        yield speed(id('prefill 128'), 'tokens/s', 128, around((name === 'ternary' ? 20 : 128) * millisecondsAt(shape, name, 1, threads)), threads);
        for (const count of isSmall && threads === 1 ? [1, 2, 4, 8, 16, 32] : []) {
          yield speed(id(`batch of ${count}`), 'tokens/s', count, around(millisecondsAt(shape, name, 1, 1) * (0.6 + (name === 'ternary' ? 0.3 : 0.2) * count)), 1);
        }
      }
    }
    if (isSmall) {
      for (const [name, text] of [['hybrid', 2e6], ['BitNet', 24_576]] as const) {
        for (const position of POSITIONS) {
          yield speed(`models/${shape}/${name}/1 thread/decode at ${position}`, 'tokens/s', 1, around(name === 'hybrid' ? 7 : 7 + position / 1000), 1);
          yield counted(`models/${shape}/${name}/memory of ${position} tokens`, 'bytes', name === 'hybrid' ? text : text * position);
        }
      }
    }
    yield* countsOf(shape);
  }
}

function* countsOf(shape: ShapeName): Generator<Result> {
  const sizes = sizesOf(shape);
  for (const name of NAMES) {
    if (shape === '2.7B' && name === 'float MatMul-free') continue;
    const id = (what: string): string => `models/${shape}/${name}/${what}`;
    yield counted(id('weights'), 'bytes', floatWeightBytes(sizes) / (name === 'ternary' ? 10 : 1));
    for (const position of POSITIONS) {
      const cost = costAt(shape, name, position);
      yield counted(id(`memory of ${position} tokens`), 'bytes', name === 'Transformer++' ? keyValueBytes(sizes, position) : 4 * sizes.layers * sizes.mixer);
      yield* costs(id, position, cost);
    }
  }
}

function* kernels(): Generator<Result> {
  const speeds: readonly (readonly [label: string, gmac: number, bytesOfWeight: number])[] = [
    ['float32 js', 2.1, 4], ['float32 js, 32 tokens', 2.6, 4], ['float32 simd', 6.2, 4], ['float32 simd, 32 tokens', 16, 4], ['float32 relaxed', 6.6, 4],
    ['float32 relaxed, 32 tokens', 25, 4], ['ternary scalar', 9.5, 0.25], ['ternary scalar, 32 tokens', 19, 0.25], ['ternary simd', 46, 0.25],
    ['ternary simd, 32 tokens', 140, 0.25], ['ternary relaxed', 60, 0.25], ['ternary relaxed, 32 tokens', 150, 0.25],
  ];
  let n = 0;
  for (const [shape, rows, columns] of [['370M gate_proj', 5632, 1024], ['1.3B gate_proj', 11_264, 2048], ['2.7B down_proj', 2560, 6912]] as const) {
    for (const [label, gmac, bytes] of speeds) {
      const id = `kernels/${shape} ${rows}×${columns}/${label}`;
      yield speed(id, 'MAC/s', gmac * 1e9, around(1000 * (1 + 0.03 * (n++ % 5))), 1);
      yield counted(`${id}/bytes read`, 'bytes', bytes * rows * columns);
      yield counted(`${id}/share of bandwidth`, '', (gmac * 1e9 * bytes) / BANDWIDTH / (label.includes('32') ? 32 : 1), 'higher', 0.1);
    }
  }
  yield speed('machine/beside kernels/memory bandwidth/1 thread', 'bytes/s', BANDWIDTH, around(1000), 1);
  yield speed('machine/beside kernels/float32 operations/1 thread', '1/s', 67e9, around(1000), 1);
}

function* others(): Generator<Result> {
  for (const position of [1, 4096]) {
    for (const [n, name] of NAMES.entries()) {
      const total = millisecondsAt('370M', name, position, 1);
      const shares = [[0.24, 0.02, 0.5, 0.1, 0.14], [0.27, 0.01, 0.6, 0.1, 0.02], position === 1 ? [0.27, 0.01, 0.6, 0.1, 0.02] : [0.17, 0.37, 0.38, 0.06, 0.02]][n]!;
      for (const [p, part] of LAYER_PARTS.entries()) yield duration(`layers/370M/${name}/${part} at ${position}`, around(total * shares[p]!));
    }
  }
  for (const [name, weights, text] of [['ternary', 1.5e8, 1e5], ['float MatMul-free', 1.5e9, 1e5], ['Transformer++', 1.5e9, 6.4e9]] as const) {
    for (const [what, value] of Object.entries({
      'resident without a model': 9e7, resident: 9e7 + weights, 'resident with 32768 tokens': 9e7 + weights + text, 'peak of loading': 1.2e8 + 1.1 * weights, file: weights,
    })) yield counted(`memory/370M/${name}/${what}`, 'bytes', value, 'lower', 0.1);
    yield counted(`memory/370M/${name}/seconds to load`, 's', weights / 1e9, 'lower', 0.5);
  }
}

/** Made-up figures of all trained models: perplexity, tokens/s, bytes of weights, of the text always, and for each token. */
const TRAINED_FIGURES: Readonly<Record<string, readonly [number, number, number, number, number]>> = {
  'MatMul-free 512': [9.649, 5000, 4.17e6, 8192, 0], ternary: [9.107, 5000, 4.17e6, 8192, 0], 'float MatMul-free': [9.101, 950, 3.57e7, 8192, 0],
  'hybrid 512': [9.247, 4000, 4.13e6, 202_752, 0], 'BitNet 512': [8.851, 2400, 5.85e6, 0, 4096], BitNet: [8.034, 2400, 5.85e6, 0, 4096], 'Transformer++': [8.715, 800, 3.57e7, 0, 16_384],
};

function* trained(): Generator<Result> {
  for (const [name, [perplexity, rate, weights, fixed, perToken]] of Object.entries(TRAINED_FIGURES)) {
    const id = (what: string): string => `quality/${name}/${what}`;
    yield counted(id('perplexity of 100 stories'), '', perplexity, 'lower', 1e-4);
    yield counted(id('golden perplexity of 100 stories'), '', perplexity + 1e-4);
    yield counted(id('digits of the golden perplexity'), '', 4, 'higher');
    for (const [n, positions] of ['1 to 32', '33 to 128', '129 to 300'].entries()) yield counted(id(`perplexity at ${positions}`), '', 4.5 + 3 * n, 'lower', 1e-4);
    yield counted(id('names said 17 to 32 tokens ago'), '', 144, 'higher');
    for (const what of ['names, the first guess', 'names, the first guess of names']) yield counted(id(what), '', 0.62, 'higher', 1e-4);
    yield speed(id('decode at 256'), 'tokens/s', 1, around(1000 / rate), 1);
    yield speed(id('prefill 256'), 'tokens/s', 256, around(1e5 / rate), 1);
    if (perToken === 0 || name === 'Transformer++') yield speed(id('decode in JavaScript at 256'), 'tokens/s', 1, around(4000 / rate), 1);
    yield counted(id('weights'), 'bytes', weights);
    yield counted(id('seconds to load'), 's', weights / 1e8, 'lower', 0.5);
    for (const length of [256, 4096, 32_768]) yield counted(id(`memory of ${length} tokens`), 'bytes', fixed + perToken * length);
    yield* costs(id, 256, { integerAdditions: 5e6, floatAdditions: 3e5, floatMultiplications: 3e5, bytes: weights });
  }
  for (const { id, perplexity } of QUOTED) yield counted(`quality/${id}/perplexity of 100 stories`, '', perplexity);
}

function* shapes(): Generator<Result> {
  for (const [n, { name }] of PUBLISHED_SHAPES.entries()) {
    for (const threads of [1, 4]) {
      const id = (who: string, what: string): string => `shapes/${name}/${who}/${threadsOf(threads)}/${what}`;
      yield speed(id('ours', 'decode at 1'), 'tokens/s', 1, around((20 * (n + 1)) / threads), threads);
      if (threads === 1) yield speed(id('ours', 'decode at 4096'), 'tokens/s', 1, around(30 * (n + 1)), threads);
      yield speed(id('ours', 'prefill 128'), 'tokens/s', 128, around(1000 * (n + 1)), threads);
      yield duration(id('ours', 'first token of 128'), around(1000 * (n + 1)));
      if (n > 0) continue;
      yield speed(id('llama.cpp TQ2_0', 'decode at 1'), 'tokens/s', 1, around(25), threads);
      yield speed(id('llama.cpp TQ2_0', 'prefill 128'), 'tokens/s', 128, around(900), threads);
    }
    for (const [what, bytes] of Object.entries({ resident: 6e8, weights: 4.8e8, 'memory of 4096 tokens': 4.7e8 })) yield counted(`shapes/${name}/ours/${what}`, 'bytes', bytes * (n + 1));
  }
}

/** All that `tellCost` tells. */
function costs(id: (what: string) => string, position: number, cost: TokenCost): Result[] {
  const results: Result[] = [];
  tellCost(id, position, cost, { result: (result) => void results.push(result), note() {}, failure() {} });
  return results;
}

export function reportFixture(): Report {
  return {
    format: 1, started: '2026-11-22T10:20:30.400Z', seconds: 512, command: 'npm run bench -- --out bench/results',
    machine: {
      cpu: 'AMD <EPYC> & others', processors: 4, memoryBytes: 25e9, freeBytes: 2e10, system: 'linux 6.18', engine: 'Node 24, V8 13', load: { start: 0.1, end: 3.2 }, commit: 'abc1234',
    },
    results: [...trained(), ...others(), ...kernels(), ...models(), ...shapes()], notes: ['2.7B: float MatMul-free left out for lack of memory'], parts: { kernels: 70.2, models: 400 },
  };
}

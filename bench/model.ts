/*
 * Whole models with random weights: tokens/s of decoding and prefill on several thread counts, and memory: npm run bench:model
 * (see README.md)
 */
import { BACKEND_NAMES, createKernels, type KernelOptions, type Kernels, type Model } from 'matmulfree';
import { parseCommand } from '../src/cli/arguments.js';
import { complain, enableRelaxedSimd, keepOneCoreBusy, machine, residentBytes, wholeNumber } from './measure.js';
import { randomModel, SHAPES, type ShapeName } from './random-model.js';
import { bitLinears, packedBytes } from './ternary-parts.js';
import { median, ratio, spread, takeTurns } from './turns.js';

const HELP = `Usage: npm run bench:model -- [options]

Makes a model of a published size with random weights in memory (seconds) and measures tokens/s: decoding one by one, prefill of 8,
32 and 512 tokens; how much longer a decoded token takes than its ternary products alone; speed-up by threads; resident memory.

Options:
  --shape NAME       370M (default), 1.3B or 2.7B
  --layers N         fewer layers than the model has: quicker, and enough to compare kernels
  --backend NAME     auto (default), ${BACKEND_NAMES.join(', ')}
  --threads N,N,…    thread counts to compare (default 1,auto; auto is what a program gets that asks for nothing)
  --rounds N         rounds in which all that is measured takes turns (default 9)
  --busy             another process keeps one core busy meanwhile; it is ended at the end

Models of the 370M shape for all thread counts are alive at the same time and take turns; larger ones follow one another.

Examples:
  npm run bench:model -- --threads 1,2,4
  npm run bench:model -- --shape 2.7B --layers 4 --backend simd
  npm run bench:model -- --busy --threads 1,auto`;

type Threads = NonNullable<KernelOptions['threads']>;
interface Settings {
  readonly shape: ShapeName;
  readonly layers: number | undefined;
  readonly backend: KernelOptions['backend'];
  readonly threads: readonly Threads[];
  readonly rounds: number;
}

interface Loaded {
  readonly kernels: Kernels;
  readonly model: Model;
}

/** Milliseconds a call, by round. */
interface Figures {
  readonly threads: number;
  readonly decode: readonly number[];
  readonly ternary: readonly number[];
  /** In the order of PROMPTS. */
  readonly prefill: readonly (readonly number[])[];
}

const PROMPTS = [8, 32, 512] as const;
const ROUND_MS = 200;

async function load({ shape, layers, backend }: Settings, threads: number): Promise<Loaded> {
  const kernels = await createKernels({ backend, threads });
  const before = residentBytes();
  const start = performance.now();
  const model = await randomModel(kernels, shape, layers);
  const seconds = (performance.now() - start) / 1000;
  const after = residentBytes();
  const packed = packedBytes(model);
  const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
  console.log(
    `${shape}, ${model.parts.blocks.length} layers, ${kernels.backend}, threads: ${kernels.threads}. Packed weights ${mb(packed)}, made in ` +
    `${seconds.toFixed(1)} s; resident ${mb(before)} before, ${mb(after)} after (peak so far ${mb(process.resourceUsage().maxRSS * 1024)}): ` +
    `${((after - before) / packed).toFixed(2)} × packed`,
  );
  return { kernels, model };
}

/** What is measured of a model: decoding a token, all its ternary products one after another, and prompts. */
function tasksOf({ kernels, model }: Loaded): (() => void)[] {
  const { config, workspace: { q, qScales }, logits } = model.parts;
  const linears = bitLinears(model);
  const state = model.createState();
  const out = new Float32Array(config.vocabSize);
  const id = [0];
  const prompts = PROMPTS.map((length) => Array.from({ length }, (_, n) => n + 3));
  return [
    () => {
      id[0] = (id[0] + 1) % config.vocabSize;
      model.forwardLast(id, state, out);
    },
    () => {
      for (const { weight } of linears) kernels.ternaryMatmul(weight, q, qScales, 1, logits);
    },
    ...prompts.map((ids) => () => model.forwardLast(ids, state, out)),
  ];
}

/** Models of these thread counts, alive at the same time and taking turns. */
async function measure(settings: Settings, threads: readonly number[]): Promise<Figures[]> {
  const loaded: Loaded[] = [];
  for (const count of threads) loaded.push(await load(settings, count)); // one by one, for the memory figures
  const tasks = loaded.map(tasksOf);
  // The same thing on all thread counts, then the next thing.
  const [first] = tasks;
  const inTurn = first.flatMap((_, n) => tasks.map((ofModel) => ofModel[n]));
  const times = takeTurns(inTurn, { rounds: settings.rounds, roundMs: ROUND_MS });
  for (const { kernels } of loaded) kernels.dispose();
  return loaded.map(({ kernels }, m) => {
    const [decode, ternary, ...prefill] = first.map((_, n) => times[n * loaded.length + m]);
    return { threads: kernels.threads, decode, ternary, prefill };
  });
}

/** Thread counts, each once: auto may be one that is given too. */
async function countsOf({ backend, threads }: Settings): Promise<number[]> {
  const counts = new Set<number>();
  for (const wanted of threads) {
    const kernels = await createKernels({ backend, threads: wanted });
    counts.add(kernels.threads);
    kernels.dispose();
  }
  return [...counts];
}

function report(figures: readonly Figures[]): void {
  const [base] = figures;
  const versus = `× ${base.threads} thr.`;
  console.log(`\nthreads                 tokens/s      quartiles  × decode  ${versus}`);
  const line = (name: string, tokens: number, { decode }: Figures, times: readonly number[], baseTimes: readonly number[]): void => {
    const speeds = times.map((ms) => (1000 * tokens) / ms);
    const toDecode = tokens * ratio(decode, times);
    console.log(
      `         ${name.padEnd(14)} ${median(speeds).toFixed(1).padStart(8)} ${spread(speeds, 1).padStart(14)} ` +
      `${toDecode.toFixed(2).padStart(9)} ${ratio(baseTimes, times).toFixed(2).padStart(9)}`,
    );
  };
  for (const row of figures) {
    console.log(`${row.threads}`);
    line('decode', 1, row, row.decode, base.decode);
    PROMPTS.forEach((tokens, n) => line(`prefill ${tokens}`, tokens, row, row.prefill[n], base.prefill[n]));
    line('ternary alone', 1, row, row.ternary, base.ternary);
    console.log(
      `         a decoded token takes ${median(row.decode).toFixed(2)} ms, its ternary products alone ` +
      `${median(row.ternary).toFixed(2)} ms: ${ratio(row.decode, row.ternary).toFixed(3)} ×`,
    );
  }
}

function readSettings(): (Settings & { readonly busy: boolean }) | undefined {
  const { values } = parseCommand(process.argv.slice(2), {
    shape: { type: 'string', default: '370M' }, layers: { type: 'string' }, backend: { type: 'string', default: 'auto' },
    threads: { type: 'string', default: '1,auto' }, rounds: { type: 'string', default: '9' },
    busy: { type: 'boolean', default: false }, help: { type: 'boolean', default: false },
  }, false);
  if (values.help) return undefined;
  if (!(values.shape in SHAPES)) throw new TypeError(`--shape is one of ${Object.keys(SHAPES).join(', ')}, not "${values.shape}"`);
  return {
    shape: values.shape as ShapeName,
    layers: values.layers === undefined ? undefined : wholeNumber('layers', values.layers),
    backend: values.backend as KernelOptions['backend'], // createKernels checks it
    threads: values.threads.split(',').map((text) => (text === 'auto' ? text : wholeNumber('threads', text))),
    rounds: wholeNumber('rounds', values.rounds),
    busy: values.busy,
  };
}

async function main(): Promise<void> {
  const settings = readSettings();
  if (!settings) return console.log(HELP);
  enableRelaxedSimd();
  console.log(`${machine()}${settings.busy ? '; another process keeps one core busy' : ''}`);
  const busy = settings.busy ? keepOneCoreBusy() : undefined;
  try {
    const counts = await countsOf(settings);
    const groups = settings.shape === '370M' ? [counts] : counts.map((count) => [count]);
    const figures: Figures[] = [];
    for (const group of groups) figures.push(...(await measure(settings, group)));
    report(figures);
  } finally {
    busy?.stop();
  }
}

await main().catch(complain);

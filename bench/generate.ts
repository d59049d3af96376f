/*
 * What batches and guesses are worth on a model with random weights: npm run bench:generate (see README.md)
 */
import { BACKEND_NAMES, createKernels, type KernelOptions, type Model, type ModelState } from 'matmulfree';
import { parseCommand } from '../src/cli/arguments.js';
import { Generation } from '../src/generate/generation.js';
import type { GenerateIdsOptions } from '../src/generate/options.js';
import { complain, enableRelaxedSimd, machine, wholeNumber } from './measure.js';
import { randomModel, SHAPES, type ShapeName } from './random-model.js';
import { median, ratio, spread, takeTurns } from './turns.js';

const HELP = `Usage: npm run bench:generate -- [options]

Tokens/s of several texts at once against one, and of prompt lookup against plain decoding, all taking turns in one process: on a text
that repeats itself (the last of its guesses all come true) and on one that never does.

Options:
  --shape NAME     370M (default), 1.3B or 2.7B
  --layers N       fewer layers than the model has
  --backend NAME   auto (default), ${BACKEND_NAMES.join(', ')}
  --threads N      default 1
  --rounds N       default 9`;

const BATCHES = [2, 4, 8, 16, 32] as const;

/** A pass that advances `count` sequences by a token each. */
function batchStep(model: Model, count: number): () => void {
  const states = Array.from({ length: count }, () => model.createState());
  const out = new Float32Array(model.parts.config.vocabSize);
  return () => {
    model.forwardSequences(states.map((state: ModelState, n) => ({ ids: [n + 5], state, want: 'last' as const })), (logits) => out.set(logits));
  };
}

/** A text as its ids follow in `next`, whatever the model says: what is measured is the way, not the text. */
function forced(next: (n: number) => number): GenerateIdsOptions {
  const wanted = (n: number) => (logits: Float32Array): void => {
    logits.fill(0);
    logits[next(n)] = 1;
  };
  return { eosTokenIds: [], logitsProcessor: (logits, { newTokens }) => wanted(newTokens)(logits) };
}

const TOKENS = 96;

async function decode(model: Model, options: GenerateIdsOptions): Promise<number> {
  const prompt = Array.from({ length: 48 }, (_, n) => 100 + (n % 24));
  const generation = new Generation(model, { ...options, maxNewTokens: TOKENS }, {
    state: model.createState(), unread: prompt, text: prompt,
  });
  while (await generation.next());
  return generation.result().decodeMs;
}

async function measureGuesses(model: Model, rounds: number): Promise<void> {
  const texts = { 'a text that repeats itself': forced((n) => 100 + (n % 24)), 'a text that never does': forced((n) => 1000 + n) };
  for (const [name, options] of Object.entries(texts)) {
    const times: { plain: number[]; guessed: number[] } = { plain: [], guessed: [] };
    for (let round = 0; round <= rounds; round++) {
      const plain = await decode(model, options);
      const guessed = await decode(model, { ...options, speculate: true });
      if (round === 0) continue;
      times.plain.push(plain);
      times.guessed.push(guessed);
    }
    const rate = (ms: readonly number[]): string => (((TOKENS - 1) / median(ms)) * 1000).toFixed(1);
    console.log(`${name}: plain ${rate(times.plain)} tokens/s, prompt lookup ${rate(times.guessed)}: ${ratio(times.plain, times.guessed).toFixed(2)} ×`);
  }
}

async function main(): Promise<void> {
  const { values } = parseCommand(process.argv.slice(2), {
    help: { type: 'boolean' }, shape: { type: 'string', default: '370M' }, layers: { type: 'string' }, backend: { type: 'string', default: 'auto' },
    threads: { type: 'string', default: '1' }, rounds: { type: 'string', default: '9' },
  }, false);
  if (values.help) return console.log(HELP);
  if (!(values.shape in SHAPES)) throw new TypeError(`--shape takes ${Object.keys(SHAPES).join(', ')}`);
  enableRelaxedSimd();
  const rounds = wholeNumber('rounds', values.rounds);
  const kernels = await createKernels({ backend: values.backend as KernelOptions['backend'], threads: wholeNumber('threads', values.threads) });
  const layers = values.layers === undefined ? undefined : wholeNumber('layers', values.layers);
  const model = await randomModel(kernels, values.shape as ShapeName, layers);
  console.log(`${machine()}\n${values.shape}, ${model.parts.blocks.length} layers, ${kernels.backend}, threads: ${kernels.threads}`);
  const counts = [1, ...BATCHES];
  const times = takeTurns(counts.map((count) => batchStep(model, count)), { rounds, roundMs: 150 });
  counts.forEach((count, n) => {
    const rates = times[n]!.map((ms) => (count / ms) * 1000);
    const gain = count === 1 ? '' : `: ${(count * ratio(times[0]!, times[n]!)).toFixed(2)} × one`;
    console.log(`${count} at once ${median(rates).toFixed(1)} tokens/s (${spread(rates, 1)})${gain}`);
  });
  await measureGuesses(model, rounds);
  kernels.dispose();
}

main().catch(complain);

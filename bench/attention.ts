/*
 * What attention costs on the shape of BitNet b1.58 2B4T, with random weights: npm run bench:attention (see README.md)
 */
import { BACKEND_NAMES, createKernels, loadModel, type KernelOptions } from 'matmulfree';
import { parseCommand } from '../src/cli/arguments.js';
import { complain, enableRelaxedSimd, machine, residentBytes, wholeNumber } from './measure.js';
import { random2B4T } from './random-model.js';
import { createRoof } from './roof.js';
import { median, spread, takeTurns } from './turns.js';

const HELP = `Usage: npm run bench:attention -- [options]

On the shape of BitNet b1.58 2B4T: tokens/s of a prompt of 2,048 tokens against one of 128; the attention of one more token after 4,096
against reading its keys and values at the rate of this machine's memory; a text of 8,192 tokens, and the memory that it takes.

Options:
  --layers N       of the model's 30 (default 4: the ratios do not depend on it)
  --backend NAME   auto (default), ${BACKEND_NAMES.join(', ')}
  --threads N      default 1
  --rounds N       default 5`;

const [SHORT, LONG, AT, TEXT] = [128, 2048, 4096, 8192];

async function main(): Promise<void> {
  const { values } = parseCommand(process.argv.slice(2), {
    help: { type: 'boolean' }, layers: { type: 'string', default: '4' }, backend: { type: 'string', default: 'auto' },
    threads: { type: 'string', default: '1' }, rounds: { type: 'string', default: '5' },
  }, false);
  if (values.help) return console.log(HELP);
  enableRelaxedSimd();
  const rounds = wholeNumber('rounds', values.rounds);
  const threads = wholeNumber('threads', values.threads);
  const layers = wholeNumber('layers', values.layers);
  const kernels = await createKernels({ backend: values.backend as KernelOptions['backend'], threads, transformer: true });
  const model = await loadModel(random2B4T(layers, TEXT), kernels, { contextTokens: 2 * TEXT });
  console.log(`${machine()}\n2B4T, ${layers} layers, ${kernels.backend}, threads: ${kernels.threads}; ${(model.parts.memoryBytes / 1e6).toFixed(0)} MB`);
  const ids = Array.from({ length: TEXT }, (_, n) => (n * 7919) % model.parts.config.vocabSize);
  const read = (count: number) => (): void => {
    const state = model.createState();
    for (let at = 0; at < count; at += SHORT) model.advance(ids.slice(at, at + SHORT), state);
    state.dispose();
  };

  const [short, long] = takeTurns([read(SHORT), read(LONG)], { rounds, roundMs: 300 });
  const rates = [short.map((ms) => (SHORT / ms) * 1000), long.map((ms) => (LONG / ms) * 1000)];
  console.log(`a prompt of ${SHORT} tokens: ${median(rates[0]).toFixed(1)} tokens/s (${spread(rates[0], 1)}), of ${LONG}: ${median(rates[1]).toFixed(1)} (${spread(rates[1], 1)}): ${(median(rates[1]) / median(rates[0])).toFixed(2)} ×`);

  // Keys and values of more layers than the caches hold, one after the other, as a token goes through them.
  const { workspace, pages } = model.parts;
  const state = model.createState();
  for (let at = 0; at < AT; at += SHORT) model.advance(ids.slice(at, at + SHORT), state);
  const { kvHeads, headDim } = { kvHeads: 5, headDim: 128 };
  const list = workspace.gateUp.buffer; // in the kernels' memory
  const numbers = new Uint32Array(list, workspace.gateUp.byteOffset, AT / 64);
  const bytes = layers * AT * 2 * kvHeads * headDim * pages!.memory.elements.BYTES_PER_ELEMENT;
  const attend = (): void => {
    for (const { numbers: held } of state.keysAndValues!.held) {
      numbers.set(held.slice(0, AT / 64));
      kernels.transformer!.attention(workspace.query, 20, { ...pages!.memory, kvHeads, headDim }, { row: 0, tokens: 1, position: AT - 1, pages: numbers, firstPage: 0 }, Infinity, workspace.attended);
    }
  };
  const roof = await createRoof(threads);
  const [attention, reading] = takeTurns([attend, roof.read.run], { rounds: 4 * rounds, roundMs: 100 });
  const bandwidth = roof.read.bytes / median(reading) / 1e6;
  const wanted = bytes / bandwidth / 1e6;
  console.log(`the attention of a token after ${AT}, ${layers} layers: ${median(attention).toFixed(2)} ms; reading its ${(bytes / 1e6).toFixed(0)} MB at ${bandwidth.toFixed(1)} GB/s takes ${wanted.toFixed(2)} ms: ${(median(attention) / wanted).toFixed(2)} ×`);
  roof.dispose();
  state.dispose();

  const before = residentBytes();
  const text = model.createState();
  const start = performance.now();
  for (let at = 0; at < TEXT; at += SHORT) model.advance(ids.slice(at, at + SHORT), text);
  const seconds = (performance.now() - start) / 1000;
  console.log(`a text of ${TEXT} tokens: ${seconds.toFixed(1)} s, ${(TEXT / seconds).toFixed(1)} tokens/s; its keys and values ${(text.byteLength / 1e6).toFixed(0)} MB, the process grew by ${((residentBytes() - before) / 1e6).toFixed(0)} MB`);
  kernels.dispose();
}

main().catch(complain);

/*
 * Ternary Bonsai's shapes with random weights: loading from a warm disk, memory, decoding and reading a prompt, on one thread; and, where
 * node-llama-cpp is installed in a folder, against native llama.cpp in turns.
 *
 *     npm run bench:bonsai -- [--shape 1.7B] [--type PQ2_0] [--peer FOLDER] [--peer-types Q2_0,TQ2_0] [--rounds 3] [--folder /tmp]
 */
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { MatMulFreeLM } from 'matmulfree';
import { BONSAI, bonsaiFile, type BonsaiShape, type BonsaiType } from './bonsai-file.js';

const PROMPT = 512;
const WRITTEN = 24;
const CONTEXT = 1024;

const { values } = parseArgs({
  options: {
    shape: { type: 'string', default: '1.7B' }, type: { type: 'string', default: 'PQ2_0' }, peer: { type: 'string' }, 'peer-types': { type: 'string', default: 'Q2_0,TQ2_0' },
    rounds: { type: 'string', default: '3' }, folder: { type: 'string', default: tmpdir() }, backend: { type: 'string' }, layers: { type: 'string' },
  },
});
const shape = values.shape as BonsaiShape;
const layers = Number(values.layers ?? BONSAI[shape].layers);
const path = (type: BonsaiType): string => join(values.folder, `random-bonsai-${shape}-${layers}-${type}.gguf`);
const file = await bonsaiFile(path(values.type as BonsaiType), shape, values.type as BonsaiType, layers);
const MB = 2 ** 20;

const load = (): Promise<MatMulFreeLM> =>
  MatMulFreeLM.load(file, { threads: 1, contextTokens: CONTEXT, ...(values.backend ? { backend: values.backend as 'simd' } : {}) });
await (await load()).dispose(); // the disk is warm, and the kernels are tested
const start = performance.now();
const lm = await load();
const loaded = performance.now() - start;
const info = lm.info();
console.log(`${cpus()[0]!.model}, Node ${process.version}; ${shape}, ${layers} layers, ${values.type}, backend ${lm.backend}, one thread`);
console.log(`loaded in ${loaded.toFixed(0)} ms; model ${(info.memoryBytes / MB).toFixed(0)} MiB, largest resident ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`);

const prompt = Array.from({ length: PROMPT }, (_, n) => (n * 7919) % 256);
interface Speeds { readonly decode: number; readonly prompt: number }

function own(): Speeds {
  const state = lm.createState();
  let since = performance.now();
  lm.forward(prompt, state);
  const read = performance.now() - since;
  since = performance.now();
  for (let n = 0; n < WRITTEN; n++) lm.forward(n % 256, state);
  const written = performance.now() - since;
  state.dispose();
  return { decode: (1000 * WRITTEN) / written, prompt: (1000 * PROMPT) / read };
}

/** What of node-llama-cpp is used here. */
interface Llama { loadModel(options: object): Promise<{ createContext(options: object): Promise<{ getSequence(): Sequence }> }> }
interface Sequence {
  evaluate(tokens: readonly number[]): AsyncGenerator<number, void, void>;
  evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
  clearHistory(): Promise<void>;
}

async function peer(type: BonsaiType): Promise<() => Promise<Speeds>> {
  const modelPath = await bonsaiFile(path(type), shape, type, layers);
  const { getLlama } = (await import(pathToFileURL(join(values.peer!, 'node_modules/node-llama-cpp/dist/index.js')).href)) as { getLlama(options: object): Promise<Llama> };
  const llama = await getLlama({ gpu: false, build: 'never', maxThreads: 1, logLevel: 'error' });
  const sequence = (await (await llama.loadModel({ modelPath, gpuLayers: 0 })).createContext({ contextSize: CONTEXT, threads: 1, batchSize: PROMPT })).getSequence();
  return async () => {
    await sequence.clearHistory();
    let since = performance.now();
    // A prompt of 32 where 512 would take minutes.
    const short = prompt.slice(0, type === 'Q2_0' ? 8 : PROMPT);
    await sequence.evaluateWithoutGeneratingNewTokens(short);
    const read = performance.now() - since;
    const wanted = type === 'Q2_0' ? 3 : WRITTEN;
    let count = 0;
    since = performance.now();
    for await (const _ of sequence.evaluate([1])) if (++count === wanted) break;
    return { decode: (1000 * wanted) / (performance.now() - since), prompt: (1000 * short.length) / read };
  };
}

const contestants = new Map<string, () => Promise<Speeds>>([['ours', async () => own()]]);
if (values.peer !== undefined) {
  for (const type of values['peer-types'].split(',') as BonsaiType[]) contestants.set(`llama.cpp ${type}`, await peer(type));
}
const rounds = new Map<string, Speeds[]>();
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [name, run] of contestants) rounds.set(name, [...(rounds.get(name) ?? []), await run()]);
}
const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
const [first] = rounds.values();
for (const [name, runs] of rounds) {
  const [decode, read] = [median(runs.map((run) => run.decode)), median(runs.map((run) => run.prompt))];
  const ratio = (key: keyof Speeds): string => (median(first!.map((run, n) => run[key] / runs[n]![key]))).toFixed(2);
  console.log(`${name.padEnd(18)} decode ${decode.toFixed(2).padStart(7)} tokens/s, prompt ${read.toFixed(1).padStart(7)}${name === 'ours' ? '' : `; ours ${ratio('decode')} and ${ratio('prompt')} times that`}`);
}
await lm.dispose();
process.exit(0); // the native engine may hold on

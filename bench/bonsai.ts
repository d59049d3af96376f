/*
 * Ternary Bonsai's shapes with random weights, from files as they are published: loading from a warm disk, memory, decoding and reading a prompt; and against
 * other engines in turns (peers.ts). The suite's part "shapes" has more models, threads and lengths, made in memory: npm run bench:bonsai (see README.md)
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { MatMulFreeLM, type KernelOptions } from 'matmulfree';
import { complain, enableRelaxedSimd, machine, wholeNumber } from './measure.js';
import { openPeers } from './peers.js';
import { BONSAI, bonsaiBlueprint, type BonsaiShape } from './published-shapes.js';
import { shapeFile, type TernaryType } from './shape-file.js';
import { median, ratio, takeTimedTurns, timedTask } from './turns.js';

const HELP = `Usage: npm run bench:bonsai -- [options]

Loads a file of the shape of Ternary Bonsai with random weights, as it is published, and measures memory, decoding and a prompt of 512 tokens.

Options:
  --shape NAME       ${Object.keys(BONSAI).join(', ')} (default 1.7B)
  --type NAME        of the file: PQ2_0 (default), Q2_0 or TQ2_0
  --layers N         fewer than the model has
  --backend NAME     auto (default), scalar, simd or relaxed
  --threads N        default 1
  --peer FOLDER      where node-llama-cpp or onnxruntime-node is installed: they take turns with this library
  --peer-types A,B   of llama.cpp's files (default Q2_0,TQ2_0)
  --rounds N         default 3
  --folder FOLDER    where files are written, and kept (default ${tmpdir()})`;

const [PROMPT, WRITTEN, CONTEXT, ROUND_MS] = [512, 24, 1024, 800];
const MB = 2 ** 20;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean' }, shape: { type: 'string', default: '1.7B' }, type: { type: 'string', default: 'PQ2_0' }, peer: { type: 'string' }, 'peer-types': { type: 'string', default: 'Q2_0,TQ2_0' },
      rounds: { type: 'string', default: '3' }, folder: { type: 'string', default: tmpdir() }, backend: { type: 'string', default: 'auto' }, layers: { type: 'string' }, threads: { type: 'string', default: '1' },
    },
  });
  if (values.help) return console.log(HELP);
  if (!Object.hasOwn(BONSAI, values.shape)) throw new TypeError(`--shape takes one of ${Object.keys(BONSAI).join(', ')}, not "${values.shape}"`);
  enableRelaxedSimd();
  const shape = values.shape as BonsaiShape;
  const layers = values.layers === undefined ? BONSAI[shape].layers : wholeNumber('layers', values.layers);
  const threads = wholeNumber('threads', values.threads);
  const blueprint = await bonsaiBlueprint(shape, layers);
  const file = await shapeFile(join(values.folder, `random-bonsai-${shape}-${layers}-${values.type}.gguf`), blueprint, values.type as TernaryType);

  const load = (): Promise<MatMulFreeLM> => MatMulFreeLM.load(file, { threads, contextTokens: CONTEXT, backend: values.backend as KernelOptions['backend'] });
  await (await load()).dispose(); // the disk is warm, and the kernels are tested
  const start = performance.now();
  const lm = await load();
  const loaded = performance.now() - start;
  console.log(`${machine()}\n${shape}, ${layers} layers, ${values.type}, backend ${lm.backend}, threads: ${lm.threads}`);
  console.log(`loaded in ${loaded.toFixed(0)} ms; model ${(lm.info().memoryBytes / MB).toFixed(0)} MiB, largest resident ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`);

  const ids = Array.from({ length: PROMPT }, (_, n) => (n * 7919) % 256);
  const state = lm.createState();
  const own = {
    name: 'ours', promptTokens: PROMPT,
    decode: timedTask(() => {
      if (state.tokens >= CONTEXT) state.reset();
      lm.forward(5, state);
    }, ROUND_MS),
    prompt: timedTask(() => {
      state.reset();
      lm.forward(ids, state);
    }, ROUND_MS),
  };
  const peers = values.peer === undefined ? [] : await openPeers({
    peers: values.peer, files: values.folder, name: `bonsai ${shape}`, blueprint, threads, prompt: PROMPT, written: WRITTEN,
    types: values['peer-types'].split(',') as TernaryType[],
  }, console.log);
  const all = [own, ...peers];
  const times = await takeTimedTurns(all.flatMap(({ decode, prompt }) => [decode, prompt]), { rounds: wholeNumber('rounds', values.rounds) });
  const perToken = all.map(({ promptTokens }, n) => ({ decode: times[2 * n], prompt: times[2 * n + 1].map((ms) => ms / promptTokens) }));
  all.forEach(({ name }, n) => {
    const { decode, prompt } = perToken[n];
    const versus = n === 0 ? '' : `; ours ${ratio(decode, perToken[0].decode).toFixed(2)} and ${ratio(prompt, perToken[0].prompt).toFixed(2)} times that`;
    console.log(`${name.padEnd(34)} decode ${(1000 / median(decode)).toFixed(2).padStart(7)} tokens/s, prompt ${(1000 / median(prompt)).toFixed(1).padStart(7)}${versus}`);
  });
  await lm.dispose();
  for (const peer of peers) await peer.dispose();
}

await main().catch(complain);

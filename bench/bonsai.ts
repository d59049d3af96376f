/*
 * Shapes of Ternary Bonsai and Bonsai 2 with random weights, from files as they are published: loading from a warm disk, memory, decoding and reading a prompt;
 * decoding after a long text, and other engines (peers.ts), in turns with that. The suite's part "shapes" has more models, threads and lengths, made in memory: npm run bench:bonsai (see README.md)
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BACKEND_NAMES, MatMulFreeLM, type KernelOptions, type ModelState } from 'matmulfree';
import { parseCommand } from '../src/cli/arguments.js';
import { pretendedState } from './library-states.js';
import { complain, enableRelaxedSimd, machine, wholeNumber } from './measure.js';
import { openPeers } from './peers.js';
import { BONSAI_SHAPES } from './published-shapes.js';
import { shapeFile, type TernaryType } from './shape-file.js';
import { median, ratio, takeTimedTurns, timedTask, type TimedTask } from './turns.js';

const HELP = `Usage: npm run bench:bonsai -- [options]

Loads a file of the shape of Ternary Bonsai with random weights, as it is published, and measures memory, decoding and a prompt of 512 tokens.

Options:
  --shape NAME       ${[...BONSAI_SHAPES.keys()].join(', ')} (default 1.7B; 2-… are those of Bonsai 2)
  --type NAME        of the file: PQ2_0 (default), Q2_0 or TQ2_0
  --layers N         fewer than the model has
  --backend NAME     auto (default), ${BACKEND_NAMES.join(', ')}
  --threads N        default 1
  --context N        decodes after N tokens too, whose keys and values are made up: reading them would take minutes
  --peer FOLDER      where node-llama-cpp or onnxruntime-node is installed: they take turns with this library
  --peer-types A,B   of llama.cpp's files (default Q2_0,TQ2_0)
  --rounds N         default 3
  --folder FOLDER    where files are written, and kept (default ${tmpdir()})`;

/** Tokens after which a short text begins anew. */
const SHORT = 128;
const [PROMPT, WRITTEN, ROUND_MS] = [512, 24, 800];
/** Room for tokens beyond the prompt, or the context. */
const SPARE = 1024;
const MB = 2 ** 20;

async function main(): Promise<void> {
  const { values } = parseCommand(process.argv.slice(2), {
    help: { type: 'boolean' }, shape: { type: 'string', default: '1.7B' }, type: { type: 'string', default: 'PQ2_0' }, peer: { type: 'string' }, 'peer-types': { type: 'string', default: 'Q2_0,TQ2_0' },
    rounds: { type: 'string', default: '3' }, folder: { type: 'string', default: tmpdir() }, backend: { type: 'string', default: 'auto' }, layers: { type: 'string' }, threads: { type: 'string', default: '1' },
    context: { type: 'string' },
  }, false);
  if (values.help) return console.log(HELP);
  const { shape } = values;
  const published = BONSAI_SHAPES.get(shape);
  if (!published) throw new TypeError(`--shape takes one of ${[...BONSAI_SHAPES.keys()].join(', ')}, not "${shape}"`);
  enableRelaxedSimd();
  const layers = values.layers === undefined ? published.layers : wholeNumber('layers', values.layers);
  const threads = wholeNumber('threads', values.threads);
  const context = values.context === undefined ? 0 : wholeNumber('context', values.context);
  const blueprint = await published.blueprint(layers);
  if (!blueprint) throw new TypeError(`${shape}: this version does not know the family`);
  const file = await shapeFile(join(values.folder, `random-bonsai-${shape}-${layers}-${values.type}.gguf`), blueprint, values.type as TernaryType);

  const load = (): Promise<MatMulFreeLM> => MatMulFreeLM.load(file, { threads, contextTokens: PROMPT + context + SPARE, backend: values.backend as KernelOptions['backend'] });
  await (await load()).dispose(); // the disk is warm, and the kernels are tested
  const start = performance.now();
  const lm = await load();
  const loaded = performance.now() - start;
  console.log(`${machine()}\n${shape}, ${layers} layers, ${values.type}, backend ${lm.backend}, threads: ${lm.threads}`);
  console.log(`loaded in ${loaded.toFixed(0)} ms; model ${(lm.info().memoryBytes / MB).toFixed(0)} MiB, largest resident ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB; a text takes ${(lm.info().stateBytes / 1e6).toFixed(1)} MB and ${(lm.info().stateBytesPerToken / 1e3).toFixed(1)} kB a token`);

  const ids = Array.from({ length: PROMPT }, (_, n) => (n * 7919) % 256);
  const state = lm.createState();
  const decodeAfter = (text: ModelState, most: number): TimedTask => timedTask(() => {
    if (text.tokens >= most) text.reset();
    lm.forward(5, text);
  }, ROUND_MS);
  const own = {
    name: 'ours', promptTokens: PROMPT,
    decode: decodeAfter(lm.createState(), SHORT),
    prompt: timedTask(() => {
      state.reset();
      lm.forward(ids, state);
    }, ROUND_MS),
  };
  const peers = values.peer === undefined ? [] : await openPeers({
    peers: values.peer, files: values.folder, name: `bonsai ${shape}`, blueprint, threads, prompt: PROMPT, written: WRITTEN,
    types: values['peer-types'].split(',') as TernaryType[],
  }, console.log);
  const afterLong = context === 0 ? [] : [decodeAfter(pretendedState(lm.model, context), Infinity)];
  const all = [own, ...peers];
  const times = await takeTimedTurns([...all.flatMap(({ decode, prompt }) => [decode, prompt]), ...afterLong], { rounds: wholeNumber('rounds', values.rounds) });
  const perToken = all.map(({ promptTokens }, n) => ({ decode: times[2 * n], prompt: times[2 * n + 1].map((ms) => ms / promptTokens) }));
  all.forEach(({ name }, n) => {
    const { decode, prompt } = perToken[n];
    const versus = n === 0 ? '' : `; ours ${ratio(decode, perToken[0].decode).toFixed(2)} and ${ratio(prompt, perToken[0].prompt).toFixed(2)} times that`;
    console.log(`${name.padEnd(34)} decode ${(1000 / median(decode)).toFixed(2).padStart(7)} tokens/s, prompt ${(1000 / median(prompt)).toFixed(1).padStart(7)}${versus}`);
  });
  const far = times[2 * all.length];
  if (far) console.log(`after ${context} tokens `.padEnd(34) + ` decode ${(1000 / median(far)).toFixed(2).padStart(7)} tokens/s: ${ratio(perToken[0].decode, far).toFixed(3)} of that after few`);
  await lm.dispose();
  for (const peer of peers) await peer.dispose();
}

await main().catch(complain);

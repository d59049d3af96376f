/*
 * How long a model takes until it is ready, part by part: npm run bench:load (see README.md)
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Checkpoint } from 'matmulfree';
import { parseCommand } from '../src/cli/arguments.js';
import { filesFromMemory } from '../src/formats/bytes.js';
import { writeGguf } from '../src/formats/gguf-writer.js';
import { collectGarbage, complain, enableRelaxedSimd, machine, wholeNumber } from './measure.js';
import { writeTernaryFile } from './model-files.js';
import { SHAPES, type ShapeName } from './random-model.js';
import { ggufVocabulary, randomVocabulary } from './random-vocabulary.js';
import { median, ratio, spread } from './turns.js';

const HELP = `Usage: npm run bench:load -- [options]

Milliseconds, on one core: to read the header of a GGUF file with a vocabulary of Qwen3's size, to make the tokenizer of it, to make it of a
tokenizer.json, and to load the weights of a model. The first round is told apart: code is not compiled yet, as when a program begins.

Options:
  --rounds N       default 9
  --shape NAME     of the weights: ${Object.keys(SHAPES).join(', ')} (default 370M)
  --against DIR    another checkout of this repository, which takes turns: tells how many times as long it takes`;

const FILE = 'vocabulary.gguf';

/** A checkout's way to do a part. */
interface Library {
  readonly openGguf: typeof import('../src/formats/open-gguf.js').openGguf;
  readonly openGgufCheckpoint: typeof import('../src/checkpoint/gguf-checkpoint.js').openGgufCheckpoint;
  readonly tokenizerFromGguf: typeof import('../src/checkpoint/gguf-tokenizer.js').tokenizerFromGguf;
  readonly loadTokenizer: typeof import('../src/checkpoint/tokenizer.js').loadTokenizer;
  readonly createKernels: typeof import('../src/kernels/create.js').createKernels;
  readonly loadModel: typeof import('../src/model/load-model.js').loadModel;
}

async function libraryOf(folder: string): Promise<Library> {
  const parts = ['formats/open-gguf.ts', 'checkpoint/gguf-checkpoint.ts', 'checkpoint/gguf-tokenizer.ts', 'checkpoint/tokenizer.ts', 'kernels/create.ts', 'model/load-model.ts'];
  const modules = await Promise.all(parts.map((part) => import(pathToFileURL(join(resolve(folder), 'src', part)).href) as Promise<object>));
  return Object.assign({}, ...modules) as Library;
}

async function main(): Promise<void> {
  const { values } = parseCommand(process.argv.slice(2), {
    help: { type: 'boolean' }, rounds: { type: 'string', default: '9' }, shape: { type: 'string', default: '370M' }, against: { type: 'string' },
  }, false);
  if (values.help) return console.log(HELP);
  if (!Object.hasOwn(SHAPES, values.shape)) throw new TypeError(`--shape takes one of ${Object.keys(SHAPES).join(', ')}, not "${values.shape}"`);
  enableRelaxedSimd();
  const rounds = wholeNumber('rounds', values.rounds);
  const here = join(import.meta.dirname, '..');
  const libraries = await Promise.all([here, ...(values.against === undefined ? [] : [values.against])].map(libraryOf));
  const folder = await mkdtemp(join(tmpdir(), 'matmulfree-load-'));
  try {
    const vocabulary = randomVocabulary();
    const chunks: Uint8Array[] = [];
    for await (const chunk of writeGguf(ggufVocabulary(vocabulary), [])) chunks.push(chunk);
    await writeFile(join(folder, FILE), Buffer.concat(chunks));
    const weights = await writeTernaryFile(folder, values.shape as ShapeName);
    const vocabSize = vocabulary.tokens.length;
    const inMemory = async (path: string, name: string) => filesFromMemory(folder, new Map([[name, new Uint8Array(await readFile(path))]]));
    const [header, model] = [await inMemory(join(folder, FILE), FILE), await inMemory(weights, 'model.gguf')];
    console.log(`${machine()}\n${vocabSize} tokens, ${(Buffer.concat(chunks).length / 1e6).toFixed(1)} MB of metadata; weights of ${values.shape}`);

    const tokenizerOf = ({ loadTokenizer }: Library, texts: Checkpoint['texts']) => loadTokenizer({ texts, blueprint: { config: { vocabSize } } } as Checkpoint);
    const { metadata } = await libraries[0].openGguf(header, FILE);
    const { tokenizer: text } = libraries[0].tokenizerFromGguf(FILE, metadata, vocabSize)!;
    const parts: Record<string, (library: Library) => Promise<unknown>> = {
      'header': ({ openGguf }) => openGguf(header, FILE),
      'tokenizer of GGUF': (library) => tokenizerOf(library, library.tokenizerFromGguf(FILE, metadata, vocabSize) as unknown as Checkpoint['texts']),
      'header and tokenizer': async (library) => {
        const opened = await library.openGguf(header, FILE);
        return tokenizerOf(library, library.tokenizerFromGguf(FILE, opened.metadata, vocabSize) as unknown as Checkpoint['texts']);
      },
      'tokenizer.json': (library) => tokenizerOf(library, { tokenizer: text, tokenizerConfig: undefined, generationConfig: undefined }),
      'weights': async ({ openGguf, openGgufCheckpoint, createKernels, loadModel }) => {
        const checkpoint = await openGgufCheckpoint(await openGguf(model, 'model.gguf'));
        (await loadModel(checkpoint, await createKernels({ threads: 1 }))).dispose(); // with its kernels
      },
    };
    for (const [part, run] of Object.entries(parts)) {
      const times = libraries.map((): number[] => []);
      for (let round = 0; round <= rounds; round++) {
        for (const [n, library] of libraries.entries()) {
          collectGarbage();
          const start = performance.now();
          await run(library);
          times[n].push(performance.now() - start);
        }
      }
      const [[first, ...mine], theirs] = times;
      const more = theirs === undefined ? '' : `; there ${theirs[0].toFixed(0)}, then ${median(theirs.slice(1)).toFixed(0)}: ${ratio(theirs.slice(1), mine).toFixed(2)} × as long`;
      console.log(`${part.padEnd(22)} ${first.toFixed(0)} ms at first, then ${median(mine).toFixed(0)} (${spread(mine, 0)})${more}`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

main().catch(complain);

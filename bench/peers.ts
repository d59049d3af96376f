import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Blueprint } from 'matmulfree';
import { onnxFile } from './onnx-file.js';
import { shapeFile, type TernaryType } from './shape-file.js';
import type { TimedTask } from './turns.js';

/*
 * Other engines, where somebody has installed them by hand in a folder (npm install node-llama-cpp onnxruntime-node): they take turns with this library
 * on files of the same shape. Nothing of them is a dependency.
 */

export interface Peer {
  readonly name: string;
  /** Milliseconds of a decoded token. */
  readonly decode: TimedTask;
  /** Milliseconds of a prompt of `promptTokens`. */
  readonly prompt: TimedTask;
  readonly promptTokens: number;
  dispose(): Promise<void>;
}

export interface PeerOptions {
  /** Where the peers are installed. */
  readonly peers: string;
  /** Where files of models are written, and kept. */
  readonly files: string;
  /** Of the shape, for the names of files. */
  readonly name: string;
  readonly blueprint: Blueprint;
  readonly threads: number;
  /** Tokens of a prompt, and tokens to decode in a round. */
  readonly prompt: number;
  readonly written: number;
  /** Of llama.cpp's files. Default: what the model is published in, and the fastest. */
  readonly types?: readonly TernaryType[] | undefined;
}

/** Those that are there, and can run the shape. @param note is told of those that cannot. */
export async function openPeers(options: PeerOptions, note: (text: string) => void): Promise<Peer[]> {
  const { peers, name } = options;
  const types = options.types ?? (options.blueprint.activations === undefined ? ['TQ2_0'] as const : ['Q2_0', 'TQ2_0'] as const);
  const open = [...types.map((type) => ['node-llama-cpp', () => openLlamaCpp(options, type)] as const), ...([4, 2] as const).map((bits) => ['onnxruntime-node', () => openOnnx(options, bits)] as const)];
  const found: Peer[] = [];
  for (const [module, one] of open) {
    if (!existsSync(join(peers, 'node_modules', module))) continue;
    try {
      found.push(await one());
    } catch (error) {
      note(`${name}: ${module} is left out: ${(error instanceof Error ? error.message : String(error)).split('\n')[0]}`);
    }
  }
  return found;
}

const importFrom = (folder: string, path: string): Promise<unknown> => import(pathToFileURL(join(folder, 'node_modules', path)).href);
const fileOf = ({ files, name, blueprint: { config: { layers } } }: PeerOptions, kind: string): string => join(files, `random ${name} ${layers} ${kind}`.replaceAll(' ', '-'));

/** What of node-llama-cpp is used here. */
interface LlamaCpp {
  loadModel(options: object): Promise<{ createContext(options: object): Promise<{ getSequence(): Sequence }>; dispose(): Promise<void> }>;
  dispose(): Promise<void>;
}
interface Sequence {
  evaluate(tokens: readonly number[]): AsyncGenerator<number, void, void>;
  evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
  clearHistory(): Promise<void>;
}

/** Its Q2_0 has no kernel for x86, and takes minutes where others take seconds. */
const SLOW = { type: 'Q2_0', prompt: 8, written: 3 };

async function openLlamaCpp(options: PeerOptions, type: TernaryType): Promise<Peer> {
  const { blueprint, threads, prompt, written } = options;
  const modelPath = await shapeFile(`${fileOf(options, type)}.gguf`, blueprint, type);
  const { getLlama } = (await importFrom(options.peers, 'node-llama-cpp/dist/index.js')) as { getLlama(options: object): Promise<LlamaCpp> };
  const llama = await getLlama({ gpu: false, build: 'never', maxThreads: threads, logLevel: 'error' });
  const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
  const sequence = (await model.createContext({ contextSize: 2 * (prompt + written), threads, batchSize: prompt })).getSequence();
  const [promptTokens, count] = type === SLOW.type ? [SLOW.prompt, SLOW.written] : [prompt, written];
  const ids = Array.from({ length: promptTokens }, (_, n) => (n * 7919) % 256);
  return {
    name: `llama.cpp ${type}`, promptTokens,
    async decode() {
      await sequence.clearHistory();
      const tokens = sequence.evaluate([1]);
      await tokens.next();
      const start = performance.now();
      for (let n = 0; n < count; n++) await tokens.next();
      const time = (performance.now() - start) / count;
      await tokens.return();
      return time;
    },
    async prompt() {
      await sequence.clearHistory();
      const start = performance.now();
      await sequence.evaluateWithoutGeneratingNewTokens(ids);
      return performance.now() - start;
    },
    async dispose() {
      await model.dispose();
      await llama.dispose();
    },
  };
}

/** What of onnxruntime-node is used here. */
interface Onnx {
  readonly InferenceSession: { create(path: string, options: object): Promise<{ run(feeds: object): Promise<object>; release(): Promise<void> }> };
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => object;
}

/** ONNX Runtime on the model's products alone: no norms, attention or positions, so an upper bound of what it could do with the model. */
async function openOnnx(options: PeerOptions, bits: 4 | 2): Promise<Peer> {
  const { blueprint, threads, prompt } = options;
  const path = await onnxFile(`${fileOf(options, `int${bits}`)}.onnx`, blueprint, bits);
  const loaded = (await importFrom(options.peers, 'onnxruntime-node/dist/index.js')) as Onnx & { readonly default?: Onnx };
  const { InferenceSession, Tensor } = loaded.default ?? loaded;
  const session = await InferenceSession.create(path, { intraOpNumThreads: threads, interOpNumThreads: 1, executionProviders: ['cpu'] });
  const width = blueprint.config.hiddenSize;
  const time = (tokens: number, calls: number): TimedTask => {
    const x = new Tensor('float32', Float32Array.from({ length: tokens * width }, (_, n) => Math.sin(n)), [tokens, width]);
    return async () => {
      const start = performance.now();
      for (let call = 0; call < calls; call++) await session.run({ x });
      return (performance.now() - start) / calls;
    };
  };
  return { name: `ONNX Runtime int${bits}, products alone`, promptTokens: prompt, decode: time(1, options.written), prompt: time(prompt, 1), dispose: () => session.release() };
}

import { MatMulFreeWorker, type WorkerLoadOptions } from 'matmulfree/worker';
import { address, blob, collect, file, sha256 } from './files.js';

export type Source = 'url' | 'file' | 'blob' | 'bytes' | 'folder';

export interface InWorkerInput {
  /** Where the model comes from, one after the other. */
  readonly sources: readonly Source[];
  readonly threads: number;
  readonly prompt: string;
  readonly options: { readonly temperature: number; readonly topP: number; readonly seed: number; readonly maxNewTokens: number };
  readonly ids: readonly number[];
}

const MODEL = 'examples/models/tinystories-9m.gguf';

async function sourceOf(kind: Source): Promise<Parameters<typeof MatMulFreeWorker.load>[0]> {
  if (kind === 'url') return address(MODEL);
  if (kind === 'file') return file(MODEL);
  if (kind === 'blob') return blob(MODEL);
  if (kind === 'bytes') return new Uint8Array(await (await blob(MODEL)).arrayBuffer());
  const folder = 'test/fixtures/models/bf16-sharded';
  const names = ['config.json', 'model.safetensors.index.json', ...[1, 2, 3].map((n) => `model-0000${n}-of-00003.safetensors`)];
  return Promise.all(names.map((name) => file(`${folder}/${name}`)));
}

export interface InWorker {
  readonly backend: string;
  readonly threads: number;
  readonly stages: readonly string[];
  readonly logits: string;
  readonly saved: string;
  readonly text: string;
  readonly nll: number;
  /** What a call rejects with after `dispose`. */
  readonly late: unknown;
}

/** Uses a model in a worker, from a page, and tells what came of it. */
export default async function inWorker({ sources, ...input }: InWorkerInput): Promise<InWorker[]> {
  const found: InWorker[] = [];
  for (const source of sources) found.push(await use(source, input));
  return found;
}

async function use(source: Source, { threads, prompt, options, ids }: Omit<InWorkerInput, 'sources'>): Promise<InWorker> {
  const stages = new Set<string>();
  const load: WorkerLoadOptions = { threads, transfer: true, onProgress: ({ stage }) => stages.add(stage) };
  const lm = await MatMulFreeWorker.load(await sourceOf(source), load);
  const state = await lm.createState();
  const logits = await sha256(await lm.forward(ids, state, { all: true }));
  const saved = await sha256(await state.serialize());
  const text = lm.hasTokenizer ? (await collect(lm.generate(prompt, options))).text : '';
  const score = await lm.score(ids);
  const { backend } = lm;
  lm.dispose();
  const late = await lm.info().catch((error: unknown) => (error as Error).name);
  return { backend, threads: lm.threads, stages: [...stages], logits, saved, text, nll: score.nll, late };
}

import { MatMulFreeLM, type BackendName } from 'matmulfree';
import { blob, collect, file, sha256 } from './files.js';

export interface BitsInput {
  readonly backend: 'auto' | BackendName;
  readonly threads: 'auto' | number;
  /** Folders with tiny models, the names of their files, and ids to read. */
  readonly tiny: readonly { readonly folder: string; readonly files: readonly string[]; readonly ids: readonly number[] }[];
  readonly model: string;
  readonly ids: readonly number[];
  readonly prompt: string;
  readonly options: { readonly temperature: number; readonly topP: number; readonly seed: number; readonly maxNewTokens: number };
}

export interface Bits {
  readonly isolated: boolean;
  readonly backend: BackendName;
  readonly threads: number;
  /** SHA-256 of logits and state of each tiny model. */
  readonly tiny: readonly { readonly logits: string; readonly state: string }[];
  /** SHA-256 of the logits of `ids`. */
  readonly logits: string;
  readonly text: string;
}

/** Runs tiny models and the embedded one on one backend. */
export default async function bits({ backend, threads, tiny, model, ids, prompt, options }: BitsInput): Promise<Bits> {
  const ofTiny: Bits['tiny'][number][] = [];
  for (const { folder, files, ids: input } of tiny) {
    const lm = await MatMulFreeLM.load(await Promise.all(files.map((name) => file(`${folder}/${name}`))), { backend, threads });
    const state = lm.createState();
    ofTiny.push({ logits: await sha256(lm.forward(input, state, { all: true })), state: await sha256(state.serialize()) });
    lm.dispose();
  }
  const lm = await MatMulFreeLM.load(await blob(model), { backend, threads });
  const logits = await sha256(lm.forward(ids, lm.createState(), { all: true }));
  const { text } = await collect(lm.generate(prompt, options));
  const found = { isolated: globalThis.crossOriginIsolated, backend: lm.backend, threads: lm.threads, tiny: ofTiny, logits, text };
  lm.dispose();
  return found;
}

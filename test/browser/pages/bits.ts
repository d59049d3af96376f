import { MatMulFreeLM, type BackendName } from 'matmulfree';
import { blob, collect, file, sha256 } from './files.js';

export interface BitsInput {
  /** What it is run on, one after the other, and with which models. */
  readonly on: readonly { readonly backend: 'auto' | BackendName; readonly threads: 'auto' | number; readonly tiny: readonly number[]; readonly isTrained: boolean }[];
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
  /** SHA-256 of the trained model's logits of `ids`. */
  readonly logits?: string;
  readonly text?: string;
}

/** Runs tiny models and the trained one. */
export default async function bits({ on, tiny, model, ids, prompt, options }: BitsInput): Promise<Bits[]> {
  const whole = on.some(({ isTrained }) => isTrained) ? await blob(model) : undefined;
  const folders = tiny.map(({ folder, files }) => Promise.all(files.map((name) => file(`${folder}/${name}`))));
  const found: Bits[] = [];
  for (const { backend, threads, tiny: wanted, isTrained } of on) {
    const ofTiny: Bits['tiny'][number][] = [];
    let used = { backend: 'scalar' as BackendName, threads: 0 };
    for (const n of wanted) {
      const lm = await MatMulFreeLM.load(await folders[n]!, { backend, threads });
      const state = lm.createState();
      ofTiny.push({ logits: await sha256(lm.forward(tiny[n]!.ids, state, { all: true })), state: await sha256(state.serialize()) });
      used = { backend: lm.backend, threads: lm.threads };
      lm.dispose();
    }
    const isolated = globalThis.crossOriginIsolated;
    if (!whole || !isTrained) {
      found.push({ isolated, ...used, tiny: ofTiny });
      continue;
    }
    const lm = await MatMulFreeLM.load(whole, { backend, threads });
    const logits = await sha256(lm.forward(ids, lm.createState(), { all: true }));
    const { text } = await collect(lm.generate(prompt, options));
    found.push({ isolated, backend: lm.backend, threads: lm.threads, tiny: ofTiny, logits, text });
    lm.dispose();
  }
  return found;
}

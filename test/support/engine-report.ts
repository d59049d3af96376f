/*
 * Prints what this engine computes, as JSON: of each backend that there is, and of 'auto', hashes of logits and of a text of the embedded
 * model; and a hash of random programs of vector instructions. In every engine, with all flags, they are the same.
 */
import { createHash } from 'node:crypto';
import { availableBackends, MatMulFreeLM, unavailableBackends, type BackendName } from 'matmulfree';
import { EMBEDDED } from './files.js';
import { hashLogits } from './thread-logits.js';
import { hashPrograms } from './wasm-programs.js';

export interface EngineReport {
  readonly node: string;
  readonly backends: Readonly<Record<string, { readonly used: BackendName; readonly note?: string; readonly logits: string; readonly text: string }>>;
  /** Those that are there, slowest first. */
  readonly order: readonly BackendName[];
  /** Why others are not there. */
  readonly missing: Readonly<Partial<Record<BackendName, string>>>;
  readonly programs: string;
}

async function hashText(lm: MatMulFreeLM): Promise<string> {
  let text = '';
  for await (const piece of lm.generate('Once upon a time', { seed: 7, maxNewTokens: 60 })) text += piece;
  return createHash('sha256').update(text).digest('hex');
}

const backends: Record<string, EngineReport['backends'][string]> = {};
const order = await availableBackends();
for (const backend of ['auto', ...order] as const) {
  const options = { backend, threads: backend === 'auto' ? 2 : 1 };
  const lm = await MatMulFreeLM.load(EMBEDDED, options);
  backends[backend] = { used: lm.backend, note: lm.info().backendNote, logits: await hashLogits(options), text: await hashText(lm) };
  lm.dispose();
}
const missing = await unavailableBackends();
const programs = missing.simd === undefined ? hashPrograms(1, 200, missing.relaxed === undefined) : '';
const report: EngineReport = { node: process.version, backends, order, missing, programs };
console.log(JSON.stringify(report));

/* Prints the SHA-256 of the logits of the embedded model over some ids. */
import { createHash } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { MatMulFreeLM, type LoadOptions } from 'matmulfree';
import { EMBEDDED } from './files.js';

const IDS = Array.from({ length: 40 }, (_, n) => 3 + ((n * 997) % 4000));

/** Several ids at once, then one after the other: tiles and single tokens. */
export async function hashLogits(options: LoadOptions): Promise<string> {
  const lm = await MatMulFreeLM.load(EMBEDDED, options);
  const state = lm.createState();
  const hash = createHash('sha256');
  const add = (logits: Float32Array): void => void hash.update(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength));
  add(lm.forward(IDS.slice(0, 30), state, { all: true }));
  for (const id of IDS.slice(30)) add(lm.forward(id, state));
  hash.update(state.serialize());
  lm.dispose();
  return hash.digest('hex');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [backend, threads] = process.argv.slice(2);
  console.log(await hashLogits({ backend: backend as LoadOptions['backend'], threads: Number(threads) }));
}

import { MatMulFreeLM, type LoadOptions } from 'matmulfree';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';
import { openGgufCheckpoint } from '../../src/checkpoint/gguf-checkpoint.js';
import { filesFromMemory } from '../../src/formats/bytes.js';
import type { I2SLayout } from '../../src/formats/group-blocks.js';
import { openGguf } from '../../src/formats/open-gguf.js';
import type { Files } from './checkpoints.js';

/** The checkpoint in GGUF files, of which the first is named. */
export async function openFiles(files: Files, layout?: I2SLayout): Promise<Checkpoint> {
  return openGgufCheckpoint(await openGguf(filesFromMemory('m', new Map(Object.entries(files))), Object.keys(files)[0]!), undefined, layout);
}

const IDS = [1, 5, 3, 7, 7, 2];

/** Of all positions of a short text, with a vocabulary of eight or more. */
export async function logitsOf(files: Files, options: LoadOptions = {}): Promise<Float32Array> {
  const lm = await MatMulFreeLM.load(files, { backend: 'scalar', ...options });
  const logits = lm.forward(IDS, lm.createState(), { all: true }).slice();
  lm.dispose();
  return logits;
}

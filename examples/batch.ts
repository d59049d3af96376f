/*
 * Many texts at the same time over the same weights, and the most probable ones by beam search: npx tsx examples/batch.ts
 */
import { MatMulFreeLM } from 'matmulfree';

const lm = await MatMulFreeLM.load(new URL('models/tinystories-9m.gguf', import.meta.url));

// Each is what it would be alone, bit for bit. Options may be given for all, and for each.
const stories = await lm.generateBatch(
  ['The dragon', 'Lily and Tom', { prompt: 'A very small cat', temperature: 0 }, 'One night, the moon'],
  { maxNewTokens: 40, temperature: 0.7, topP: 0.95, seed: 1 },
);
for (const { text, seed, finishReason } of stories) console.log(`(seed ${seed}, ${finishReason}) …${text.replaceAll('\n', ' ')}\n`);

const found = await lm.beamSearch('Once upon a time, there was a little girl named', { numBeams: 6, nBest: 3, maxNewTokens: 12 });
for (const { text, logprob } of found) console.log(`${logprob.toFixed(2).padStart(7)} …${text}`);

/* Streams a session of so many tokens and prints its resident memory after the first thousand, and at the end: a process of its own. */
import { MatMulFreeLM } from 'matmulfree';
import { collectGarbage } from './garbage.js';

/** The engine gives pages back in the background, later on a busy machine. */
const resident = async (): Promise<number> => {
  let least = Infinity;
  for (let n = 0; n < 10; n++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 30));
    least = Math.min(least, process.memoryUsage.rss());
  }
  return least;
};

const total = Number(process.argv[2]);
const lm = await MatMulFreeLM.load(new URL('../../examples/models/tinystories-9m.gguf', import.meta.url));
const session = lm.session();
await session.append('Once upon a time');
const options = { eosTokenIds: [], temperature: 0.8, topP: 0.95, seed: 1, repetitionPenalty: 1.1, penaltyWindow: 64, stop: 'no such text', speculate: true };
let first = 0;
for await (const piece of session.generateTokens({ ...options, maxNewTokens: 1000 })) first += piece.text.length;
const before = await resident();
let length = 0;
for await (const piece of session.generate({ ...options, maxNewTokens: total - session.tokens })) length += piece.length;
console.log(JSON.stringify({ before, after: await resident(), tokens: session.tokens, characters: first + length, saved: session.save().length }));
lm.dispose();

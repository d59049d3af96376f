/*
 * Which of two texts does the model find more natural? npx tsx examples/score.ts
 */
import { MatMulFreeLM } from 'matmulfree';

const lm = await MatMulFreeLM.load(new URL('models/tinystories-9m.gguf', import.meta.url));

for (const text of [
  'Once upon a time, there was a little dog named Max. Max loved to play in the park.',
  'Once upon a park, there play a time little Max to loved. Dog was in a the named Max.',
]) {
  const { tokens, nll, perplexity } = lm.score(text);
  console.log(`${text}\n  ${tokens} tokens, negative log-likelihood ${nll.toFixed(2)}, perplexity ${perplexity.toFixed(2)}\n`);
}

// Token by token: where is it surprised?
const text = 'Lily went to the park to play with her refrigerator.';
const ids = lm.tokenizer.encode(text);
const { logprobs } = lm.score(ids);
for (const [n, logprob] of logprobs.entries()) {
  const token = lm.tokenizer.idToToken(ids[n + 1]!) ?? '';
  console.log(`${token.padEnd(12)} ${logprob.toFixed(2).padStart(7)} ${'▇'.repeat(Math.round(-logprob * 2))}`);
}

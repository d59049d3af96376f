/*
 * What the sampler can do: penalties, bias, a hook of your own, log-probabilities: npx tsx examples/sampling.ts
 */
import { MatMulFreeLM, type GenerateOptions } from 'matmulfree';

const lm = await MatMulFreeLM.load(new URL('models/tinystories-9m.gguf', import.meta.url));
const prompt = 'The cat was happy. The cat was happy. The cat was';

async function show(name: string, options: GenerateOptions): Promise<void> {
  let text = '';
  for await (const piece of lm.generate(prompt, { maxNewTokens: 24, ...options })) text += piece;
  console.log(`${name.padEnd(20)} …${text.replaceAll('\n', ' ')}`);
}

await show('greedy', {});
await show('repetition penalty', { repetitionPenalty: 1.5 });
await show('presence penalty', { presencePenalty: 2 });
const happy = lm.tokenizer.encode(' happy', { addSpecialTokens: false, continues: true });
await show('no "happy"', { bannedTokens: happy });
await show('sampled, typicalP', { temperature: 0.8, typicalP: 0.9, seed: 3 });
// Only words without an "e": -Infinity is never chosen.
const withE = Array.from({ length: lm.config.vocabSize }, (_, id) => id).filter((id) => /e/i.test(lm.tokenizer.idToToken(id) ?? ''));
await show('a lipogram', { logitsProcessor: (logits) => withE.forEach((id) => { logits[id] = -Infinity; }) });

// Token by token, with what else might have come.
for await (const { text, logprob, topLogprobs } of lm.generateTokens('Once upon a', { maxNewTokens: 5, topLogprobs: 3 })) {
  const others = topLogprobs.map(({ token, logprob: p }) => `${token} ${(100 * Math.exp(p)).toFixed(1)} %`).join(', ');
  console.log(`${JSON.stringify(text).padEnd(10)} ${(100 * Math.exp(logprob)).toFixed(1).padStart(5)} %  of ${others}`);
}

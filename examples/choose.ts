/*
 * Which answer does the model find most natural? And how often is it right, over a task in a file? npx tsx examples/choose.ts [task.jsonl]
 */
import { readFile } from 'node:fs/promises';
import { evaluate, MatMulFreeLM, parseTask } from 'matmulfree';

const lm = await MatMulFreeLM.load(new URL('models/tinystories-9m.gguf', import.meta.url));

// The prompt is read once, the choices go through the model side by side.
const { best, scores } = await lm.choose('Once there was a bunny. Every day he went to the garden to get a', ['hammer', 'carrot', 'train']);
for (const { choice, logprob, normalized } of scores) {
  console.log(`${choice.padEnd(8)} ${logprob.toFixed(2).padStart(7)}, ${normalized.toFixed(2)} a character${choice === scores[best]!.choice ? '  ←' : ''}`);
}

// A task: as many lines {"context", "choices", "label"} as you like.
const task = process.argv[2] ?? new URL('data/stories-choices.jsonl', import.meta.url);
const result = await evaluate(lm, parseTask(await readFile(task, 'utf8'), String(task)));
console.log(`\n${result.items} items, ${(result.acc.value * 100).toFixed(0)} % right`);

// Texts as vectors: the cosine of their angle tells how near they are.
const [cat, kitten, party] = await Promise.all(
  ['The cat slept on the soft bed.', 'A kitten was sleeping on a pillow.', 'There was a big birthday party with a cake.']
    .map((text) => lm.embed(text, { normalize: true })),
);
const cosine = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, n) => sum + value * b[n]!, 0);
console.log(`\ncat and kitten ${cosine(cat!, kitten!).toFixed(2)}, cat and party ${cosine(cat!, party!).toFixed(2)}`);

/*
 * Generate and stream: npx tsx examples/generate.ts "The dragon"
 */
import { MatMulFreeLM } from 'matmulfree';

// In your own project: import.meta.resolve('matmulfree/models/tinystories-9m.gguf')
const lm = await MatMulFreeLM.load(new URL('models/tinystories-9m.gguf', import.meta.url));

const prompt = process.argv[2] ?? 'Once upon a time';
process.stdout.write(prompt);
for await (const piece of lm.generate(prompt, { temperature: 0.7, topP: 0.95, seed: 7, maxNewTokens: 120 })) {
  process.stdout.write(piece);
}
process.stdout.write('\n');

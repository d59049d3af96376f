/*
 * Guess, then check: where a text repeats itself, several tokens come out of each pass over the weights, and the text is the same to the
 * last bit. It pays with models of some hundred million parameters and more: npx tsx examples/speculate.ts hf:ridger/MMfreeLM-370M
 */
import { MatMulFreeLM, type GenerateResult } from 'matmulfree';

const lm = await MatMulFreeLM.load(process.argv[2] ?? new URL('models/tinystories-9m.gguf', import.meta.url));
const prompt = 'Once upon a time';

async function run(speculate: boolean): Promise<{ text: string; result: GenerateResult }> {
  const pieces = lm.generate(prompt, { maxNewTokens: 1000, eosTokenIds: [], temperature: 0, speculate });
  let text = '';
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return { text, result: value };
    text += value;
  }
}

const [plain, guessed] = [await run(false), await run(true)];
const rate = ({ newTokens, decodeMs }: GenerateResult): string => `${(((newTokens - 1) / decodeMs) * 1000).toFixed(0)} tokens/s`;
console.log(`${prompt}${guessed.text.slice(0, 300)}…\n`);
console.log(`plain ${rate(plain.result)}; with guesses ${rate(guessed.result)}, ${guessed.result.acceptedTokens} of ${guessed.result.draftedTokens} guesses right`);
console.log(`same text: ${plain.text === guessed.text}`);

/*
 * The model's whole memory of a text is a few kilobytes, whatever its length: save it, resume it elsewhere, fork it into
 * two endings. npx tsx examples/save-and-fork.ts
 */
import { MatMulFreeLM } from 'matmulfree';

const lm = await MatMulFreeLM.load(new URL('models/tinystories-9m.gguf', import.meta.url));

// Read the beginning once. The state holds everything that the model keeps of it.
const beginning = 'Once upon a time, there was a little bird who could not fly. One day, the bird met a big';
const state = lm.createState();
lm.forward(lm.tokenizer.encode(beginning), state);

// Save: bytes for a file, a database, IndexedDB. Another process with the same model goes on from them.
const saved = state.serialize();
console.log(`${state.tokens} tokens read, ${saved.length} bytes saved\n`);

// Fork: each ending has a state of its own; the beginning is not read again.
for (const animal of [' cat', ' elephant']) {
  const fork = lm.restoreState(saved); // or state.clone()
  let text = '';
  for await (const piece of lm.generate(animal, { state: fork, maxNewTokens: 60, temperature: 0.6, seed: 3, stop: '\n' })) text += piece;
  console.log(`...a big${animal}${text}\n`);
}

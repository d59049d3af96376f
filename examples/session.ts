/*
 * A session: a text that grows, and that can be forked, taken back and saved for a few kilobytes: npx tsx examples/session.ts
 */
import { MatMulFreeLM } from 'matmulfree';

const lm = await MatMulFreeLM.load(new URL('models/tinystories-9m.gguf', import.meta.url));

async function write(session: ReturnType<typeof lm.session>, seed: number): Promise<string> {
  let text = '';
  for await (const piece of session.generate({ maxNewTokens: 60, temperature: 0.7, seed, stop: '.' })) text += piece;
  return `${text.trim()}.`;
}

const session = lm.session();
await session.append('Once upon a time, a little robot lived in a garden. One day, the robot');
console.log(`The robot ${await write(session, 1)}`);

// Two ways to go on, side by side: the text so far is not read again.
const [left, right] = [session.fork(), session.fork()];
await left.append(' Suddenly, it began to rain. The robot');
await right.append(' Suddenly, a dragon came. The dragon');
console.log(`- rain: ${await write(left, 2)}\n- dragon: ${await write(right, 2)}`);

// Back to a marked place, as often as you like.
const mark = right.mark();
for (const seed of [3, 4]) {
  await right.append(' Then the robot said, "');
  console.log(`- "${await write(right, seed)}`);
  right.rewind(mark);
}

// Bytes for a file, a database, IndexedDB: another process with the same model goes on from them.
const bytes = right.save();
const later = lm.openSession(bytes);
console.log(`${later.tokens} tokens of text saved in ${bytes.length} bytes`);

// Prompts that begin alike: what they share is read once.
const prefixCache = await lm.createPrefixCache();
const rules = 'Once upon a time there was a wise owl who answered every question. '.repeat(12);
for (const question of ['"Why is the sky blue?" The owl said, "', '"Where do birds sleep?" The owl said, "']) {
  const pieces = lm.generate(rules + question, { prefixCache, maxNewTokens: 30, stop: '"' });
  let text = '';
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) {
      console.log(`${question}${text}" (${value.cachedTokens} of ${value.promptTokens} tokens of the prompt were known)`);
      break;
    }
    text += value;
  }
}

/*
 * A conversation in the terminal: npx tsx examples/chat.ts --model hf:tiiuae/Falcon-E-1B-Instruct
 * Without --model it is the small model in this repository, which only tells stories: write a beginning, and then what happens next.
 */
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { MatMulFreeLM } from 'matmulfree';

// How a conversation is written. A chat model brings its own template; this one puts together what you write and what the model writes.
const STORY = "{% for message in messages %}{% if message.role == 'user' and not loop.first %} {% endif %}{{ message.content }}{% endfor %}";

const { model } = parseArgs({ options: { model: { type: 'string' } } }).values;
const lm = await (model ? MatMulFreeLM.load(model) : MatMulFreeLM.load(new URL('models/tinystories-9m.gguf', import.meta.url), { chatTemplate: STORY }));

// Options of all answers. A story has no turns: here an answer ends with its paragraph, or after 40 tokens.
const chat = lm.chat({ temperature: 0.7, seed: 7, ...(model ? { maxNewTokens: 2000 } : { stop: '\n', maxNewTokens: 40 }) });

process.stdout.write('Ctrl-D ends it.\n> ');
for await (const line of createInterface({ input: process.stdin })) {
  // All that was said stays read: an answer costs what is new.
  if (line !== '') for await (const piece of chat.say(line)) process.stdout.write(piece);
  process.stdout.write('\n> ');
}
process.stdout.write(`\n${chat.messages.length} messages, ${chat.tokens} tokens\n`);
lm.dispose();

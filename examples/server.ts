/*
 * A model behind OpenAI's API, wherever there is a Request and a Response: npx tsx examples/server.ts
 * In a terminal `matmulfree serve` does this, behind Node's HTTP server.
 */
import { MatMulFreeLM } from 'matmulfree';
import { createHandler } from 'matmulfree/server';

const lm = await MatMulFreeLM.load(new URL('models/tinystories-9m.gguf', import.meta.url));
const handler = createHandler(lm, { modelName: 'tinystories' });

// Deno: Deno.serve(handler). Bun: Bun.serve({ fetch: handler }). A service worker: event.respondWith(handler(event.request)).
// Here it is called as they call it.
const ask = (path: string, body: object): Promise<Response> =>
  handler(new Request(`http://localhost${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }));

// Requests at the same time share passes over the weights.
const answers = await Promise.all(['The dragon', 'A small cat', 'One night'].map(async (prompt, seed) => {
  const response = await ask('/v1/completions', { prompt, seed, max_tokens: 30, temperature: 0.7, top_p: 0.95 });
  const { choices: [first], usage } = (await response.json()) as { choices: { text: string }[]; usage: { completion_tokens: number } };
  return `${prompt}${first!.text} … (${usage.completion_tokens} tokens)`;
}));
console.log(answers.join('\n\n'));

// Piece by piece, as events.
const response = await ask('/v1/completions', { prompt: 'Once upon a time', seed: 1, max_tokens: 8, stream: true });
for await (const text of response.body!.pipeThrough(new TextDecoderStream())) process.stdout.write(text);

await handler.close(); // when what runs is done
lm.dispose();

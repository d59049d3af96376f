/*
 * A call of a tool, there and back: npx tsx examples/tools.ts
 * The small model knows nothing of tools: this shows the form. With a chat model, leave out `chatTemplate` and `toolChoice`.
 */
import { MatMulFreeLM } from 'matmulfree';

const chatTemplate = `{% for tool in tools or [] %}{{ tool | tojson }}
{% endfor %}{% for message in messages %}{{ message.role }}: {{ message.content or '' }}{% for call in message.tool_calls or [] %}{{ call.function | tojson }}{% endfor %}
{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}`;
const lm = await MatMulFreeLM.load(new URL('models/tinystories-9m.gguf', import.meta.url), { chatTemplate });

const parameters = { type: 'object', properties: { place: { enum: ['garden', 'forest', 'sea'] }, hour: { type: 'integer', minimum: 0, maximum: 23 } }, required: ['place', 'hour'] };
const tools = [{ type: 'function' as const, function: { name: 'get_weather', description: 'What the weather is like', parameters } }];
const run: Record<string, (args: Readonly<Record<string, unknown>>) => unknown> = {
  get_weather: ({ place, hour }) => ({ place, hour, sky: 'sunny', degrees: 21 }),
};

const chat = lm.chat({ tools, temperature: 0.7, seed: 3, maxNewTokens: 120 });

/** The whole answer; calls that the model makes are apart in it. */
async function say(...args: Parameters<typeof chat.say>) {
  const answer = chat.say(...args);
  for (;;) {
    const { done, value } = await answer.next();
    if (done) return value;
  }
}

// The answer is a call that is valid by the tool's schema, whatever the model would rather say.
const { toolCalls = [] } = await say('Is it warm in the garden?', { toolChoice: 'required' });
for (const { name, arguments: args } of toolCalls) console.log(`the model calls ${name}(${JSON.stringify(args)})`);

const results = toolCalls.map(({ name, arguments: args }) => ({ role: 'tool', name, content: JSON.stringify(run[name]!(args)) }));
const { content } = await say(results, { stop: '\n' });
console.log(`it is told ${results.map((result) => result.content).join(', ')}, and answers:\n${content.trim()}`);
console.log(`roles: ${chat.messages.map(({ role }) => role).join(', ')}`);
lm.dispose();

/*
 * Output that is always valid: one of some choices, a regular expression, JSON for a schema: npx tsx examples/constrained.ts
 */
import { MatMulFreeLM, type ConstraintSpec } from 'matmulfree';

const lm = await MatMulFreeLM.load(new URL('models/tinystories-9m.gguf', import.meta.url));

async function write(prompt: string, constraint: ConstraintSpec, seed = 1): Promise<string> {
  let text = '';
  for await (const piece of lm.generate(prompt, { constraint, temperature: 0.8, seed, maxNewTokens: 100 })) text += piece;
  return text;
}

const mood = await write('Tom lost his favourite toy and began to cry. Tom was very', { choices: [' happy', ' sad', ' hungry'] });
console.log(`Tom was very${mood}.`);

console.log(`It happened on${await write('It happened on', { regex: ' (Monday|Friday|Sunday), May [12]?[1-9], 20[0-2][0-9]' })}.`);

const schema = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 2, maxLength: 10 },
    animal: { enum: ['cat', 'dog', 'bird'] },
    age: { type: 'integer', minimum: 1, maximum: 20 },
    likes: { type: 'array', items: { type: 'string', pattern: '^[a-z ]{3,15}$' }, minItems: 1, maxItems: 3 },
  },
  required: ['name', 'animal', 'age', 'likes'],
};
const json = await write('Once upon a time there was a little animal. ', { jsonSchema: schema }, 5);
console.log(JSON.stringify(JSON.parse(json), null, 1));

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ChatTemplate, ChatTemplateError } from 'matmulfree';
import { HAS_SHARED, shared, SHARED_NOTE } from '../support/files.js';

interface Vector {
  readonly name: string;
  readonly template: string;
  readonly variables: Record<string, unknown>;
  readonly expected: string;
}

/** Beyond the subset: a list as text, which Python and JavaScript write differently. */
const REFUSED: Record<string, RegExp> = { 'MadeAgents/Hammer2.1': /line 52: the filter string of a list is not supported; use tojson$/ };

it.skipIf(!HAS_SHARED)(`published templates come out as another implementation renders them, or are refused by name${SHARED_NOTE}`, async () => {
  const vectors = JSON.parse(readFileSync(shared('goldens/chat/vectors.json'), 'utf8')) as Vector[];
  expect(vectors.length).toBeGreaterThanOrEqual(60);
  for (const { name, template, variables, expected } of vectors) {
    const render = async (): Promise<string> => (await ChatTemplate.compile(template)).render(variables);
    const refusal = REFUSED[name];
    if (refusal === undefined) expect(await render(), name).toBe(expected);
    else {
      const error: unknown = await render().catch((reason: unknown) => reason);
      expect(error, name).toBeInstanceOf(ChatTemplateError);
      expect((error as Error).message, name).toMatch(refusal);
    }
  }
});

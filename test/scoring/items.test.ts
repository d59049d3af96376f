import { describe, expect, it } from 'vitest';
import { evaluate, FormatError, ArgumentError, parseTask, type EvaluatedModel } from 'matmulfree';

const CHOICES = '{"context": "The sky is", "choices": ["blue", "a dog"], "label": 0}';
const CONTEXTS = '{"contexts": ["", "b"], "continuation": "c", "label": 1}';

describe('a task in JSON Lines', () => {
  it('is a list of items; other keys, empty lines, a byte order mark and CRLF do not matter', () => {
    const items = parseTask(`\ufeff${CHOICES}\r\n\n   \n{"id": 7, "context": "", "choices": ["x", "y", "z"], "label": 2}\n`, 'a.jsonl');
    expect(items).toEqual([JSON.parse(CHOICES), { id: 7, context: '', choices: ['x', 'y', 'z'], label: 2 }]);
    expect(parseTask(CONTEXTS, 'b')).toEqual([JSON.parse(CONTEXTS)]);
    expect(parseTask('{"text": "the cat sat"}\n{"context": "the", "target": "cat"}', 'c')).toHaveLength(2);
  });

  it.each([
    ['', /a\.jsonl: has no items/], [`${CHOICES}\n{"context": `, /a\.jsonl: line 2: broken JSON/], ['7', /line 1: the item is 7, not one of/], [`\n\n[]`, /line 3: the item is \[\]/],
    ['{"question": "?"}', /none of the keys it needs/], ['{"context": "a", "choices": ["b", "c"]}', /"label" is undefined, not a whole number from 0 to 1/],
    ['{"context": "a", "choices": ["b", "c"], "label": "1"}', /"label" is "1"/], ['{"context": "a", "choices": ["b", "c"], "label": 2}', /"label" is 2/],
    ['{"context": "a", "choices": ["b", "c"], "label": -1}', /"label" is -1/], ['{"context": "a", "choices": ["b"], "label": 0}', /"choices" is \["b"\], not a list of at least two/],
    ['{"context": "a", "choices": ["b", 7], "label": 0}', /"choices" is \["b", 7\]/], ['{"context": "a", "choices": ["b", ""], "label": 0}', /"choices" has an empty string, at 1/],
    ['{"choices": ["b", "c"], "label": 0}', /"context" is undefined, not a string/], ['{"contexts": ["b", "c"], "label": 0}', /"continuation" is undefined/],
    ['{"contexts": ["b", "c"], "continuation": "", "label": 0}', /"continuation" is "", not a string of at least one/],
    ['{"context": "a", "target": ""}', /"target" is ""/], ['{"text": ""}', /"text" is ""/], ['{"text": "the end "}', /ends in a space/],
    ['{"text": "a b", "choices": ["x", "y"]}', /has both "choices" and "text"/], [`${CHOICES}\n\n{"text": "a b"}`, /line 3: the item is of the kind last-word, that of line 1 of the kind choices/],
  ])('%j is refused', (text, message) => {
    expect(() => parseTask(text, 'a.jsonl')).toThrow(message);
    expect(() => parseTask(text, 'a.jsonl')).toThrow(FormatError);
  });

  it('has the same complaints where a program gives the items', async () => {
    const lm = {} as EvaluatedModel;
    for (const [items, message] of [
      [[], /items are \[\]/], ['x', /items are "x"/], [[JSON.parse(CHOICES), {}], /item 1 has none of the keys/], [[JSON.parse(CHOICES), { text: 'a b' }], /item 1 is of the kind last-word, item 0 of the kind choices/],
      [[null], /item 0 is null/],
    ] as [never, RegExp][]) {
      await expect(evaluate(lm, items)).rejects.toThrow(message);
      await expect(evaluate(lm, items)).rejects.toBeInstanceOf(ArgumentError);
    }
  });
});

import { expect, it } from 'vitest';
import { TokenTable } from '../../src/tokenizer/token-table.js';
import { freshSeed, randomFrom } from '../support/random.js';

const seed = freshSeed();

it(`finds what a Map finds, and goes through it in the same order (seed ${seed})`, () => {
  const random = randomFrom(seed);
  const chars = ['a', 'b', 'Ġ', '\u8061', '\0', '\ud800', '🙂'];
  const text = (): string => Array.from({ length: random.integer(0, 6) }, () => chars[random.integer(0, chars.length - 1)]!).join('');
  for (const count of [0, 1, 7, 8, 9, 3000]) {
    const [map, table] = [new Map<string, number>(), new TokenTable(count)];
    for (let n = 0; n < count; n++) {
      const [token, id] = [text(), random.integer(0, 2 ** 24)];
      map.set(token, id);
      table.set(token, id);
    }
    const list: [string, number][] = [];
    table.forEach((id, token) => list.push([token, id]));
    expect(list).toEqual([...map]);
    for (const [token, id] of map) expect(table.get(token)).toBe(id);
    for (let n = 0; n < 500; n++) {
      const token = text() + text();
      expect(table.get(token), JSON.stringify(token)).toBe(map.get(token));
    }
  }
});

import { show } from '../errors.js';
import type { MatMulFreeLM } from '../lm.js';
import { badField } from './errors.js';
import type { Fields } from './fields.js';

/** Texts of a field: one or several, each as a text or as token ids. An empty text is what stands before every text: the BOS, or nothing. */
export function readTexts(fields: Fields, key: string, most: number, lm: MatMulFreeLM): number[][] {
  const value = fields.get(key);
  if (value === undefined) throw badField(key, 'is missing');
  const list = Array.isArray(value) && typeof value[0] !== 'number' ? fields.list(key, most)! : [value];
  if (list.length === 0) throw badField(key, 'is an empty list');
  const { vocabSize } = lm.config;
  return list.map((each: unknown, n) => {
    const name = Array.isArray(value) && list.length > 1 ? `${key}[${n}]` : key;
    if (typeof each === 'string') return lm.tokenizer.encode(each);
    if (!Array.isArray(each)) throw badField(name, `is ${show(each)}, not a text or a list of token ids`);
    const wrong: unknown = each.find((id) => !Number.isInteger(id) || (id as number) < 0 || (id as number) >= vocabSize);
    if (wrong !== undefined || each.includes(undefined)) throw badField(name, `has ${show(wrong)}, which is no token id from 0 to ${vocabSize - 1}`);
    return each as number[];
  });
}

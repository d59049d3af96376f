import type { Result } from '../results.js';
import type { Cell, Figure } from './figure.js';
import { countOf, formatValue, short } from './format.js';
import { bareCell, cell, derived, SIZES, threadsOf, type Lookup } from './lookup.js';

/** Models of the shapes that people use, beside those of the paper: a table. */
export function shapes(lookup: Lookup): Figure | undefined {
  const found = lookup.matching(/^shapes\/([^/]+)\/([^/]+)\/(\d+) threads?\/decode at 1$/);
  const [most] = lookup.numbers(/^shapes\/[^/]+\/ours\/(\d+) threads?\/decode at 1$/).slice(-1);
  const [far] = lookup.numbers(/^shapes\/[^/]+\/ours\/1 thread\/decode at (\d+)$/).slice(-1);
  const [prompt] = lookup.numbers(/^shapes\/[^/]+\/ours\/1 thread\/prefill (\d+)$/);
  if (far === undefined) return undefined;
  const names = [...new Set(found.map(({ groups: [shape] }) => shape))];
  const whoOf = (shape: string): string[] => [...new Set(found.filter(({ groups: [name] }) => name === shape).map(({ groups: [, who] }) => who))];
  const at = (shape: string, who: string, threads: number, what: string): Result | undefined => lookup.get(`shapes/${shape}/${who}/${threadsOf(threads)}/${what}`);
  const own = (shape: string, what: string): Result | undefined => lookup.get(`shapes/${shape}/ours/${what}`);
  const threads = most === 1 ? [1] : [1, most];
  const row = (shape: string, who: string): Cell[] => [
    who === 'ours' ? shape : `${shape}: ${who}`, ...threads.map((count) => bareCell(at(shape, who, count, 'decode at 1'))), ...(far > 1 ? [bareCell(at(shape, who, 1, `decode at ${far}`))] : []),
    ...(prompt === undefined ? [] : [...threads.map((count) => bareCell(at(shape, who, count, `prefill ${prompt}`))), cell(at(shape, who, 1, `first token of ${prompt}`))]),
    ...['weights', 'memory of 4096 tokens', 'resident'].map((what) => (who === 'ours' ? cell(own(shape, what)) : '–')),
  ];
  /** Of the paper's sizes, as the part "models" has measured them; its prompts have the length that it tells. */
  const paper = SIZES.flatMap(({ shape }): Cell[][] => {
    const model = (what: string, count = 1): Result | undefined => lookup.get(`models/${shape}/ternary/${threadsOf(count)}/${what}`);
    if (!model('decode at 1')) return [];
    const prefill = (count: number): Cell => {
      const [one] = lookup.matching(new RegExp(`^models/${shape}/ternary/${threadsOf(count)}/prefill (\\d+)$`));
      return one ? derived(`${short(one.result.median)}${Number(one.groups[0]) === prompt ? '' : ` (${one.groups[0]})`}`, [one.result]) : '–';
    };
    return [[
      `MatMul-free ${shape}`, ...threads.map((count) => bareCell(model('decode at 1', count))), ...(far > 1 ? [bareCell(model(`decode at ${far}`))] : []), ...(prompt === undefined ? [] : [...threads.map(prefill), '–']),
      ...['weights', 'memory of 4096 tokens'].map((what) => cell(lookup.get(`models/${shape}/ternary/${what}`))), '–',
    ]];
  });
  const [first] = names;
  const decode = at(first, 'ours', 1, 'decode at 1');
  const wait = at(first, 'ours', 1, `first token of ${prompt}`);
  return {
    id: 'shapes', title: 'Shapes of models that people use', chart: undefined,
    says: decode === undefined ? '' : `The shape of ${first} decodes ${formatValue(decode.median, 'tokens/s')} with one thread${wait ? `; the first token after a prompt of ${countOf(prompt, 'token')} comes after ${formatValue(wait.median, 'ms')}` : ''}.`,
    table: {
      caption: 'Tokens/s of random weights in these shapes, by threads and length of the text',
      columns: [
        'model', ...threads.map((count) => `decode, ${threadsOf(count)}`), ...(far > 1 ? [`decode after ${far.toLocaleString('en')}, 1 thread`] : []),
        ...(prompt === undefined ? [] : [...threads.map((count) => `prompt of ${prompt}, ${threadsOf(count)}`), `first token of ${prompt}, 1 thread`]), 'weights', 'a text of 4,096', 'process grew by',
      ],
      rows: [...names.flatMap((shape) => whoOf(shape).map((who) => row(shape, who))), ...paper],
    },
    note: 'Other engines took turns with this library in the same rounds, where they were installed; those of ONNX Runtime are the products of the model alone, without norms and attention. llama.cpp reads prompts without the logits of the last token; its Q2_0 has no kernel for x86, and gets a prompt of 8 tokens. '
      + 'A prompt\'s length stands in brackets where it is another. Keys and values of the text before are made up. "Process grew by" is what the system says, with the model in place and no text read.',
  };
}

import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { ArgumentError, evaluate, MatMulFreeLM, parseTask, type ChoicesItem, type ContextsItem, type Evaluation, type TaskItem } from 'matmulfree';
import { EMBEDDED, repository } from '../support/files.js';
import { naivePair } from '../support/naive-scores.js';

const read = (name: string): TaskItem[] => parseTask(readFileSync(repository(`examples/data/stories-${name}.jsonl`), 'utf8'), name);

/** numpy.argmax */
const argmax = (values: number[]): number => values.indexOf(Math.max(...values));
const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
/** As the harness: sample_stddev(arr) / sqrt(len(arr)). */
const stderr = (values: number[]): number =>
  Math.sqrt(values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1)) / Math.sqrt(values.length);
const metric = (values: number[]): { value: number; stderr: number } => ({
  value: expect.closeTo(mean(values), 9) as number, stderr: expect.closeTo(stderr(values), 9) as number,
});

describe('evaluate', () => {
  let lm: MatMulFreeLM;
  beforeAll(async () => { lm = await MatMulFreeLM.load(EMBEDDED); });

  it.each([{}, { addSpecialTokens: false }, { delimiter: '' }])('gives what the harness\'s formulas make of token-by-token scores, %j', async (options) => {
    const { delimiter = ' ', addSpecialTokens = true } = options as { delimiter?: string; addSpecialTokens?: boolean };
    const score = (context: string, continuation: string): ReturnType<typeof naivePair> => naivePair(lm, context, continuation, addSpecialTokens);
    // The wrong labels too, so that right and wrong answers are counted.
    const choices = (read('choices') as ChoicesItem[]).map((item, n) => (n % 3 === 0 ? { ...item, label: 1 } : item));
    const acc = [];
    const accNorm = [];
    for (const { context, choices: texts, label } of choices) {
      const sums = texts.map((text) => score(context, delimiter + text).logprob);
      acc.push(Number(argmax(sums) === label));
      accNorm.push(Number(argmax(sums.map((sum, n) => sum / [...texts[n]!].length)) === label));
    }
    expect(await evaluate(lm, choices, options)).toEqual({ kind: 'choices', items: 12, total: 12, acc: metric(acc), accNorm: metric(accNorm) });

    const contexts = read('contexts') as ContextsItem[];
    const right = contexts.map((item) => Number(argmax(item.contexts.map((context) => score(context, delimiter + item.continuation).logprob)) === item.label));
    expect(await evaluate(lm, contexts, options)).toEqual({ kind: 'contexts', items: 8, total: 8, acc: metric(right) });

    const texts = (read('last-word') as { text: string }[]).map(({ text }) => text);
    const targets = texts.map((text) => ({ context: text.split(' ').slice(0, -1).join(' '), target: text.split(' ').at(-1)! }));
    const scores = targets.map(({ context, target }) => score(context, ` ${target}`));
    const perplexity = Math.exp(-mean(scores.map(({ logprob }) => logprob)));
    const expected = {
      kind: 'last-word', items: 12, total: 12, acc: metric(scores.map(({ isGreedy }) => Number(isGreedy))),
      perplexity: { value: expect.closeTo(perplexity, 8) as number, stderr: expect.closeTo(perplexity * stderr(scores.map(({ logprob }) => logprob)), 8) as number },
    };
    expect(await evaluate(lm, texts.map((text) => ({ text })), options)).toEqual(expected);
    expect(await evaluate(lm, targets, { ...options, delimiter: ' ' })).toEqual(expected);
  });

  it('tells what it has found so far, and stops at an abort', async () => {
    for (const [name, count] of [['choices', 12], ['contexts', 8], ['last-word', 12]] as const) {
      const items = [...read(name), ...read(name)];
      const seen: Evaluation[] = [];
      const result = await evaluate(lm, items, { onProgress: (soFar) => seen.push(soFar) });
      expect(seen.at(-1)).toEqual(result);
      expect(seen[0]!.items).toBeLessThan(count * 2);
      expect(seen[0]).toEqual({ ...(await evaluate(lm, items.slice(0, seen[0]!.items))), total: count * 2 });
      const controller = new AbortController();
      const reason = new Error('enough');
      const stopped = evaluate(lm, items, { signal: controller.signal, onProgress: () => controller.abort(reason) });
      await expect(stopped).rejects.toBe(reason);
    }
  });

  it('lets other tasks run', async () => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await evaluate(lm, Array.from({ length: 6 }, () => read('choices')).flat());
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(3);
  });

  it('one item has no standard error; one whole word stands alone', async () => {
    const [item] = read('choices');
    expect(await evaluate(lm, [item!])).toEqual({
      kind: 'choices', items: 1, total: 1, acc: { value: 1, stderr: undefined }, accNorm: { value: 1, stderr: undefined },
    });
    const word = (await evaluate(lm, [{ text: 'Once' }])) as Extract<Evaluation, { kind: 'last-word' }>;
    expect(word.perplexity.value).toBeCloseTo(Math.exp(-naivePair(lm, '', ' Once').logprob), 6);
  });

  it('refuses wrong options', async () => {
    const items = read('contexts');
    for (const options of [{ limit: 3 }, { delimiter: 7 }, { addSpecialTokens: 1 }]) {
      await expect(evaluate(lm, items, options as never), JSON.stringify(options)).rejects.toBeInstanceOf(ArgumentError);
    }
  });
});

/*
 * What it costs to round activations to int8, in perplexity of a trained model: npm run bench:rounding (see README.md)
 */
import { readFileSync } from 'node:fs';
import { parseCommand } from '../src/cli/arguments.js';
import { readModel } from '../test/support/ternary-models.js';
import { shared } from '../test/support/files.js';
import { complain, machine, wholeNumber } from './measure.js';
import { createRoundingReference, type Rounding } from './rounding-reference.js';

const HELP = `Usage: npm run bench:rounding -- [options]

Perplexity of a trained BitNet over 100 validation stories, in a plain implementation of its formulas: the inputs of its ternary products as they
are, in int8 with one scale a token, with one a token and 128 columns, and with one a token and 32. It reads ../shared.

Options:
  --model NAME     bitnet-8m (default) or bitnet-8m-512
  --stories N      the first N of the 100 (default: all)`;

const ROUNDINGS: readonly { readonly name: string; readonly rounding: Rounding }[] = [
  { name: 'as they are', rounding: 'none' },
  { name: 'int8, a scale a token', rounding: 'token' },
  { name: 'int8, a scale for 128 columns', rounding: 128 },
  { name: 'int8, a scale for 32 columns', rounding: 32 },
];

function main(): void {
  const { values } = parseCommand(process.argv.slice(2), { help: { type: 'boolean' }, model: { type: 'string', default: 'bitnet-8m' }, stories: { type: 'string', default: '100' } }, false);
  if (values.help) return console.log(HELP);
  const json = (path: string): unknown => JSON.parse(readFileSync(shared(path), 'utf8'));
  const stories = (json('goldens/tinystories-9m/validation-stories.json') as number[][]).slice(0, wholeNumber('stories', values.stories));
  const golden = json(`goldens/${values.model}/golden.json`) as { validation: { predicted_tokens: number; ppl: number } };
  const reference = createRoundingReference(readModel(shared(`models/${values.model}`)));
  const predicted = stories.reduce((sum, story) => sum + story.length - 1, 0);
  console.log(`${machine()}\n${values.model}, ${stories.length} stories, ${predicted} tokens predicted`);
  if (predicted === golden.validation.predicted_tokens) console.log(`golden (transformers, int8, a scale a token): perplexity ${golden.validation.ppl.toFixed(4)}`);
  const sums = ROUNDINGS.map(() => ({ nats: [] as number[], kl: 0, same: 0 }));
  for (const story of stories) {
    let exact: Float64Array[] = [];
    ROUNDINGS.forEach(({ rounding }, i) => {
      const logits = reference(story, rounding);
      const vocab = logits.length / story.length;
      const rows = story.slice(1).map((_, t) => logProbabilities(logits.subarray(t * vocab, (t + 1) * vocab)));
      if (i === 0) exact = rows;
      const sum = sums[i]!;
      sum.nats.push(-rows.reduce((total, row, t) => total + row[story[t + 1]!]!, 0));
      rows.forEach((row, t) => {
        sum.kl += exact[t]!.reduce((total, p, id) => total + Math.exp(p) * (p - row[id]!), 0);
        sum.same += Number(best(row) === best(exact[t]!));
      });
    });
  }
  const total = (numbers: readonly number[]): number => numbers.reduce((sum, n) => sum + n, 0);
  ROUNDINGS.forEach(({ name }, i) => {
    const { nats, kl, same } = sums[i]!;
    console.log(`${name.padEnd(30)} perplexity ${Math.exp(total(nats) / predicted).toFixed(4)}${i === 0 ? '' : difference(nats, sums[0]!.nats, predicted)}`);
    if (i > 0) console.log(`${' '.repeat(31)}KL ${(kl / predicted).toExponential(2)}, the same first guess at ${((100 * same) / predicted).toFixed(2)} %`);
  });
}

/** Of nats a token, with its standard error, stories taken as draws. */
function difference(nats: readonly number[], exact: readonly number[], predicted: number): string {
  const each = nats.map((n, story) => n - exact[story]!);
  const mean = each.reduce((sum, d) => sum + d, 0) / each.length;
  const deviation = Math.sqrt(each.reduce((sum, d) => sum + (d - mean) ** 2, 0) * (each.length / Math.max(each.length - 1, 1)));
  const thousandths = (value: number): string => ((1000 * value) / predicted).toFixed(2);
  return `, ${thousandths(mean * each.length)} ± ${thousandths(deviation)} thousandths of a nat a token`;
}

function logProbabilities(logits: Float64Array): Float64Array {
  const max = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  const sum = Math.log(logits.reduce((total, logit) => total + Math.exp(logit - max), 0));
  return logits.map((logit) => logit - max - sum);
}

function best(row: Float64Array): number {
  return row.reduce((most, p, id) => (p > row[most]! ? id : most), 0);
}

try {
  main();
} catch (error) {
  complain(error);
}

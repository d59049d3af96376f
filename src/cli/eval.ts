import { basename } from 'node:path';
import { evaluate, parseTask, type Evaluation, type Metric } from '../index.js';
import { numberOption, parseCommand, UsageError } from './arguments.js';
import { loadFromFlags, MODEL_OPTIONS } from './embedded.js';
import { nameOf, pipedInput, readInput } from './input.js';
import type { Io } from './io.js';
import { formatCount, onOneLine, plural, ProgressLine } from './terminal.js';
import { HELP } from './usage.js';

export async function evalCommand(args: readonly string[], io: Io): Promise<void> {
  const { values } = parseCommand(args, {
    ...MODEL_OPTIONS,
    task: { type: 'string' },
    limit: { type: 'string' },
    delimiter: { type: 'string' },
    'no-bos': { type: 'boolean' },
    json: { type: 'boolean' },
  }, false);
  if (values.help) return void io.stdout.write(`${HELP.eval}\n`);
  const file = values.task ?? (await pipedInput(io));
  if (file === undefined) throw new UsageError('eval takes --task FILE.jsonl, or the items from a pipe');
  const name = nameOf(file);
  const limit = numberOption('limit', values.limit);
  if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) throw new UsageError(`--limit takes a whole number above 0, not "${values.limit}"`);
  const items = parseTask(await readInput(file, io), name).slice(0, limit);
  const lm = await loadFromFlags(values, io);
  const progress = new ProgressLine(values.quiet === true, io.stderr);
  const show = (result: Evaluation): void => {
    progress.clear();
    io.stdout.write(values.json ? `${JSON.stringify(jsonOf(name, result))}\n` : tableOf(name, result));
  };
  let soFar: Evaluation | undefined;
  const onProgress = (result: Evaluation): void => {
    soFar = result;
    progress.update('evaluating', result.items, result.total, (count) => plural(count, 'item'));
  };
  try {
    show(await evaluate(lm, items, { delimiter: values.delimiter, addSpecialTokens: !values['no-bos'], onProgress, signal: io.signal }));
  } catch (error) {
    if (io.signal.aborted && soFar) show(soFar); // hours of work are not thrown away at Ctrl-C
    throw error;
  } finally {
    progress.clear();
    lm.dispose();
  }
}

/** The metrics under the names of the harness. */
function metricsOf(result: Evaluation): [name: string, metric: Metric][] {
  switch (result.kind) {
    case 'choices': return [['acc', result.acc], ['acc_norm', result.accNorm]];
    case 'contexts': return [['acc', result.acc]];
    case 'last-word': return [['acc', result.acc], ['perplexity', result.perplexity]];
  }
}

function jsonOf(file: string, result: Evaluation): Record<string, unknown> {
  const metrics = metricsOf(result).flatMap(([name, { value, stderr }]) => [[name, value], [`${name}_stderr`, stderr ?? null]]);
  return { task: basename(file), kind: result.kind, items: result.items, total: result.total, ...Object.fromEntries(metrics) as object };
}

function tableOf(file: string, result: Evaluation): string {
  const { items, total } = result;
  const kind = { choices: 'multiple choice', contexts: 'multiple choice of contexts', 'last-word': 'last word' }[result.kind];
  const title = `${onOneLine(basename(file))}: ${kind}, ${items < total ? `${formatCount(items)} of ` : ''}${plural(total, 'item')}\n`;
  const lines = metricsOf(result).map(([name, { value, stderr }]) =>
    `${name.padEnd(10)} ${value.toFixed(4)}${stderr === undefined ? '' : ` ± ${stderr.toFixed(4)}`}\n`);
  return title + lines.join('');
}

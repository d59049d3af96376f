import { ArgumentError, type MatMulFreeLM } from '../index.js';
import { parseCommand, UsageError } from './arguments.js';
import { loadFromFlags, MODEL_OPTIONS } from './embedded.js';
import { nameOf, parseIds, readInput, textArgument } from './input.js';
import type { Io } from './io.js';
import { plural, ProgressLine } from './terminal.js';
import { HELP } from './usage.js';

export async function scoreCommand(args: readonly string[], io: Io): Promise<void> {
  const { values, positionals } = parseCommand(args, {
    ...MODEL_OPTIONS,
    'text-file': { type: 'string' },
    ids: { type: 'string' },
    json: { type: 'boolean' },
  }, true);
  if (values.help) return void io.stdout.write(`${HELP.score}\n`);
  const { 'text-file': textFile, ids: idsFile } = values;
  if (textFile !== undefined && idsFile !== undefined) throw new UsageError('score takes --text-file or --ids, one of them');
  const text = await readInput(idsFile ?? (await textArgument('score takes --text-file or --ids', positionals, textFile, io)), io);
  const idLists = idsFile === undefined ? undefined : parseIds(nameOf(idsFile), text);
  const lm = await loadFromFlags(values, io);
  const sequences = idLists ?? [lm.tokenizer.encode(text)];
  const result = await scoreAll(lm, sequences, new ProgressLine(values.quiet === true, io.stderr), io.signal);
  const perplexity = Math.exp(result.nll / result.tokens);
  const report = { sequences: sequences.length, tokens: result.tokens, nll: result.nll, perplexity };
  io.stdout.write(
    values.json
      ? `${JSON.stringify(report)}\n`
      : `${plural(report.sequences, 'sequence')}, ${plural(report.tokens, 'token')} predicted\n` +
        `negative log-likelihood ${report.nll.toFixed(3)} (${(report.nll / report.tokens).toFixed(4)} a token)\n` +
        `perplexity ${perplexity.toFixed(4)}\n`,
  );
}

async function scoreAll(
  lm: MatMulFreeLM, sequences: readonly (readonly number[])[], progress: ProgressLine, signal: AbortSignal,
): Promise<{ tokens: number; nll: number }> {
  const total = sequences.reduce((sum, ids) => sum + ids.length, 0);
  let tokens = 0;
  let nll = 0;
  let done = 0;
  try {
    for (const [n, ids] of sequences.entries()) {
      const onProgress = (predicted: number): void => progress.update('scoring', done + predicted, total, (count) => plural(count, 'token'));
      const score = await lm.scoreAsync(ids, { signal, onProgress }).catch((error: unknown) => {
        if (!(error instanceof ArgumentError) || sequences.length === 1) throw error;
        throw new ArgumentError(`sequence ${n + 1} of ${sequences.length}: ${error.message}`);
      });
      tokens += score.tokens;
      nll += score.nll;
      done += ids.length;
    }
  } finally {
    progress.clear();
  }
  return { tokens, nll };
}

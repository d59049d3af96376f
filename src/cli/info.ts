import type { MatMulFreeLM } from '../index.js';
import { parseCommand, UsageError } from './arguments.js';
import { layoutOption, loadFromFlags, MODEL_OPTIONS } from './embedded.js';
import type { Io } from './io.js';
import { formatCount, plural, ProgressLine } from './terminal.js';
import { describeFile, describeWeights } from './info-file.js';
import { memoryOfModel, memoryOfText } from './model-memory.js';
import { HELP } from './usage.js';

export async function infoCommand(args: readonly string[], io: Io): Promise<void> {
  const { values, positionals } = parseCommand(args, { ...MODEL_OPTIONS, json: { type: 'boolean' }, weights: { type: 'boolean' } }, true);
  if (values.help) return void io.stdout.write(`${HELP.info}\n`);
  const [path, extra] = positionals;
  if (extra !== undefined) throw new UsageError('info takes one PATH');
  if (path !== undefined) {
    if (values.model !== undefined) throw new UsageError('info takes a PATH to list, or --model PATH to load, not both');
    const progress = new ProgressLine(values.quiet === true, io.stderr);
    const options = { signal: io.signal, onProgress: progress.listener };
    const isJson = values.json === true;
    const text = await (values.weights ? describeWeights(path, isJson, { ...options, i2sLayout: layoutOption(values['i2s-layout']) }) : describeFile(path, isJson, options))
      .finally(() => progress.clear());
    return void io.stdout.write(`${text}\n`);
  }
  if (values.weights) throw new UsageError('info: --weights reads the files of a PATH');
  const lm = await loadFromFlags(values, io);
  if (values.json) {
    const report = { config: lm.config, backend: lm.backend, threads: lm.threads, tokenizer: lm.hasTokenizer, ...lm.info() };
    io.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    return;
  }
  io.stdout.write(`${table(lm)}\n`);
}

function table(lm: MatMulFreeLM): string {
  const { config } = lm;
  const info = lm.info();
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
  const rows: [string, string][] = [
    ['family', info.family],
    ['layers', String(config.layers)],
    ['hidden size', String(config.hiddenSize)],
    ...(config.recurrentSize > 0 ? [['recurrent size', String(config.recurrentSize)] as [string, string]] : []),
    ['intermediate size', String(config.intermediateSize)],
    ['vocabulary', formatCount(config.vocabSize) + (lm.hasTokenizer ? '' : ' (no tokenizer)')],
    ['trained context', plural(config.trainedContext, 'token') + (info.maxPositions === Infinity ? ' (longer texts work)' : ' (longer texts are refused)')],
    ['rms_norm_eps', String(config.rmsNormEps)],
    ...info.switches.map(({ name, value, why }): [string, string] => [name, `${value} (${why})`]),
    ['parameters', formatCount(info.parameters)],
    ['ternary weights', `${formatCount(info.ternaryWeights)}, ${percent(info.zeroShare)} of them zero`],
    ['in memory', memoryOfModel(info)],
    ['a text takes', `${memoryOfText(info)}${info.stateBytesPerToken > 0 ? `; there is memory for ${plural(info.contextTokens, 'token')} of all texts (--context-tokens)` : ''}`],
    ['additions per token', `${formatCount(info.operations.ternaryAdditions)} (integers, ternary products)`],
    ['multiplications per token', `${formatCount(info.operations.multiplications)} (floats: norms, scales, gates)`],
    ['a dense float model', `${formatCount(info.operations.denseMultiplications)} multiplications for the same matrices`],
    ['fingerprint', info.fingerprint],
    ['backend', `${lm.backend}, ${plural(lm.threads, 'thread')}`],
  ];
  if (info.backendNote !== undefined) rows.push(['left out', info.backendNote]);
  const width = Math.max(...rows.map(([label]) => label.length));
  const lines = rows.map(([label, value]) => `${label.padEnd(width)}  ${value}`);
  lines.push('', 'ternary weights      zeros  where');
  for (const layer of info.layers) {
    lines.push(`${formatCount(layer.ternaryWeights).padStart(15)}  ${percent(layer.zeroShare).padStart(9)}  ${layer.name}`);
  }
  return lines.join('\n');
}

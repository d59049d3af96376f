import { writeFile } from 'node:fs/promises';
import {
  ArgumentError, measureLayers, planPruning, prune, pruneToSafetensors, type LayerSimilarities, type MatMulFreeLM, type ModelInfo, type PruneKind, type PrunePlan,
} from '../index.js';
import { numberOption, parseCommand, UsageError } from './arguments.js';
import { EMBEDDED_MODEL, layoutOption, loadFromFlags, MODEL_OPTIONS } from './embedded.js';
import { nameOf, parseIds, readInput } from './input.js';
import type { Io } from './io.js';
import { memoryOfModel, memoryOfText } from './model-memory.js';
import { modelOutput } from './model-output.js';
import { leftOutOf, prunePicture } from './prune-picture.js';
import { asParts, cannotWrite, putInPlace } from './put-in-place.js';
import { decimal, formatBytes, plural, ProgressLine } from './terminal.js';
import { HELP } from './usage.js';

const KINDS: Readonly<Record<string, PruneKind>> = { 'token-mixers': 'tokenMixers', 'channel-mixers': 'channelMixers', blocks: 'blocks', mixers: 'mixers' };

const OPTIONS = {
  ...MODEL_OPTIONS,
  'text-file': { type: 'string' },
  ids: { type: 'string' },
  context: { type: 'string' },
  drop: { type: 'string' },
  of: { type: 'string' },
  'token-mixers': { type: 'string' },
  'channel-mixers': { type: 'string' },
  blocks: { type: 'string' },
  out: { type: 'string' },
  type: { type: 'string' },
  svg: { type: 'string' },
  json: { type: 'boolean' },
} as const;

type Flags = ReturnType<typeof parseCommand<typeof OPTIONS>>['values'];

/** What is known of a model before or after. */
interface Measured {
  readonly info: ModelInfo;
  readonly perplexity: number | undefined;
}

export async function pruneCommand(args: readonly string[], io: Io): Promise<void> {
  const { values } = parseCommand(args, OPTIONS, false);
  if (values.help) return void io.stdout.write(`${HELP.prune}\n`);
  const wanted = readWanted(values);
  const { 'text-file': textFile, ids: idsFile, out } = values;
  const output = out === undefined ? undefined : await modelOutput(out, values.type);
  const file = textFile ?? idsFile;
  const content = file === undefined ? undefined : await readInput(file, io);
  const texts = content === undefined ? undefined : idsFile === undefined ? [content] : parseIds(nameOf(idsFile), content);
  const progress = new ProgressLine(values.quiet === true, io.stderr);
  try {
    const lm = await loadFromFlags(values, io);
    checkLayers(wanted.plan, lm.config.layers);
    const sequences = texts?.map((one) => (typeof one === 'string' ? lm.tokenizer.encode(one) : one));
    const tell = (label: string) => (done: number, total: number): void => progress.update(label, done, total, (count) => plural(count, 'token'));
    const similarities = sequences && await measureLayers(lm, sequences, { context: wanted.context, signal: io.signal, onProgress: tell('measuring layers') });
    const plan = wanted.plan ?? (similarities && wanted.count !== undefined ? choose(similarities, wanted.count, wanted.of) : undefined);
    const perplexity = async (model: MatMulFreeLM, label: string): Promise<number | undefined> => sequences && similarities
      ? perplexityOf(model, sequences, similarities.context, tell(label), io.signal) : undefined;
    const before: Measured = { info: lm.info(), perplexity: await perplexity(lm, 'perplexity before') };
    lm.dispose();
    if (values.svg !== undefined && similarities) await writeFile(values.svg, prunePicture(similarities, plan ?? {})).catch((error: unknown) => { throw cannotWrite(values.svg!, error); });

    let after: Measured | undefined;
    let bytes: number | undefined;
    const check = async (file: string | Uint8Array): Promise<void> => {
      const pruned = await loadFromFlags({ ...values, model: file }, io);
      after = { info: pruned.info(), perplexity: await perplexity(pruned, 'perplexity after') };
      pruned.dispose();
    };
    if (plan) {
      const source = values.model ?? EMBEDDED_MODEL;
      const options = { signal: io.signal, onProgress: progress.listener, i2sLayout: layoutOption(values['i2s-layout']) };
      const gguf = prune(source, plan, { ...options, type: output?.type });
      if (out === undefined || !output) await check(await collect(gguf));
      else bytes = await putInPlace(out, output.kind, output.kind === 'folder' ? pruneToSafetensors(source, plan, options) : asParts(gguf), check);
    }
    progress.clear();
    io.stdout.write(values.json ? `${JSON.stringify(jsonOf(similarities, before, after, bytes), null, 2)}\n` : report(similarities, plan, before, after));
    if (bytes !== undefined && !values.quiet) io.stderr.write(`${values.out}: ${formatBytes(bytes)}\n`);
  } finally {
    progress.clear();
  }
}

interface Wanted {
  readonly context: number | undefined;
  readonly count: number | undefined;
  readonly of: PruneKind;
  readonly plan: PrunePlan | undefined;
}

/** What to leave out. @throws UsageError */
function readWanted(values: Flags): Wanted {
  const { 'text-file': text, ids, drop, of = 'token-mixers', out, type, svg } = values;
  if (text !== undefined && ids !== undefined) throw new UsageError('prune takes --text-file or --ids, one of them');
  const lists = { tokenMixers: layers('token-mixers', values['token-mixers']), channelMixers: layers('channel-mixers', values['channel-mixers']), blocks: layers('blocks', values.blocks) };
  const plan = Object.values(lists).some((list) => list !== undefined) ? lists : undefined;
  const count = numberOption('drop', drop);
  if (count !== undefined && plan) throw new UsageError('prune takes --drop N, or the layers by name (--token-mixers, --channel-mixers, --blocks)');
  if (count !== undefined && !(Number.isInteger(count) && count > 0)) throw new UsageError(`--drop takes a whole number above 0, not "${drop}"`);
  if (values.of !== undefined && count === undefined) throw new UsageError('--of needs --drop N: how many');
  if (!Object.hasOwn(KINDS, of)) throw new UsageError(`--of ${of}: must be ${Object.keys(KINDS).join(', ')}`);
  const needsText = count !== undefined ? '--drop' : svg !== undefined ? '--svg' : plan ? undefined : 'prune';
  if (text === undefined && ids === undefined && needsText !== undefined) throw new UsageError(`${needsText} needs a text to measure the layers on: --text-file FILE or --ids FILE.json`);
  if (out !== undefined && count === undefined && !plan) throw new UsageError('--out needs what to leave out: --drop N, --token-mixers, --channel-mixers or --blocks');
  if (type !== undefined && out === undefined) throw new UsageError('--type is of the file that --out names');
  return { context: numberOption('context', values.context), count, of: KINDS[of]!, plan };
}

/** "2,5,7" */
function layers(name: string, text: string | undefined): number[] | undefined {
  if (text === undefined) return undefined;
  const list = text.split(',').map((item) => (/^\s*\d+\s*$/.test(item) ? Number(item) : NaN));
  if (list.some(Number.isNaN)) throw new UsageError(`--${name} takes layers, from 0, with commas between (2,5,7), not "${text}"`);
  return list;
}

/** @throws UsageError for a layer that is not there. */
function checkLayers({ tokenMixers, channelMixers, blocks }: PrunePlan = {}, count: number): void {
  for (const [name, list = []] of Object.entries({ 'token-mixers': tokenMixers, 'channel-mixers': channelMixers, blocks })) {
    const missing = list.find((layer) => layer >= count);
    if (missing !== undefined) throw new UsageError(`--${name} ${missing}: there are layers from 0 to ${count - 1}`);
  }
}

/** @throws UsageError when there are not so many. */
function choose(similarities: LayerSimilarities, count: number, of: PruneKind): PrunePlan {
  try {
    return planPruning(similarities, count, of);
  } catch (error) {
    throw error instanceof ArgumentError ? new UsageError(`--drop ${count}: there are not so many`) : error;
  }
}

/** Of all sequences, in the windows that the layers were measured in. */
async function perplexityOf(
  lm: MatMulFreeLM, sequences: readonly ArrayLike<number>[], context: number, tell: (done: number, total: number) => void, signal: AbortSignal,
): Promise<number | undefined> {
  const scored = sequences.filter(({ length }) => length > 1);
  const total = scored.reduce((sum, { length }) => sum + length, 0);
  let [tokens, nll] = [0, 0];
  for (const ids of scored) {
    const found = await lm.perplexity(ids, { context: Math.max(context, 2), signal, onProgress: (soFar) => tell(tokens + soFar.tokens, total) });
    tokens += found.tokens;
    nll += found.nll;
  }
  return tokens === 0 ? undefined : Math.exp(nll / tokens);
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of chunks) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

function report(similarities: LayerSimilarities | undefined, plan: PrunePlan | undefined, before: Measured, after: Measured | undefined): string {
  const lines: string[] = [];
  if (similarities) {
    const cell = (value: number | undefined, isDropped: boolean): string => `${value === undefined ? '-' : value.toFixed(4)}${isDropped ? ' *' : '  '}`.padStart(15);
    lines.push(`similarity of what goes in and what comes out, mean of ${plural(similarities.tokens, 'token')} in windows of ${similarities.context}${plan ? '; * is left out' : ''}`, '');
    const width = Math.max(...similarities.layers.map(({ kind = '' }) => kind.length));
    lines.push(`layer  ${''.padEnd(width)}  ${['token mixer', 'channel mixer', 'block'].map((part) => `${part}  `.padStart(15)).join('')}`.trimEnd());
    for (const { layer, kind = '', tokenMixer, channelMixer, block } of similarities.layers) {
      const leftOut = leftOutOf(plan ?? {}, layer);
      lines.push(`${String(layer).padStart(5)}  ${kind.padEnd(width)}  ${cell(tokenMixer, leftOut.tokenMixer)}${cell(channelMixer, leftOut.channelMixer)}${cell(block, leftOut.block)}`.trimEnd());
    }
    lines.push('');
  }
  const row = (name: string, value: (measured: Measured) => string): void => {
    lines.push(`${name.padEnd(16)}${value(before)}${after ? ` → ${value(after)}` : ''}`);
  };
  if (before.perplexity !== undefined) row('perplexity', ({ perplexity = NaN }) => decimal(perplexity));
  row('left out', ({ info }) => info.switches.find(({ name }) => name === 'left out')?.value ?? 'nothing');
  row('parameters', ({ info }) => info.parameters.toLocaleString('en-US'));
  row('in memory', ({ info }) => memoryOfModel(info));
  row('a text takes', ({ info }) => memoryOfText(info));
  return `${lines.join('\n')}\n`;
}

function jsonOf(similarities: LayerSimilarities | undefined, before: Measured, after: Measured | undefined, bytes: number | undefined): Record<string, unknown> {
  const of = ({ info, perplexity }: Measured): Record<string, unknown> => ({
    perplexity, left_out: info.switches.find(({ name }) => name === 'left out')?.value, parameters: info.parameters, memory_bytes: info.memoryBytes,
    state_bytes: info.stateBytes, state_bytes_per_token: info.stateBytesPerToken,
  });
  return { ...similarities, before: of(before), after: after && of(after), file_bytes: bytes };
}

import { publishedModels, type PublishedModel } from '../index.js';
import { parseCommand } from './arguments.js';
import type { Io } from './io.js';
import { formatBytes, plural } from './terminal.js';
import { HELP } from './usage.js';

/** A model with attention has memory for so many tokens, unless told otherwise. */
const CONTEXT_TOKENS = 8192;

export async function modelsCommand(args: readonly string[], io: Io): Promise<void> {
  const { values } = parseCommand(args, { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } }, false);
  if (values.help) return void io.stdout.write(`${HELP.models}\n`);
  const models = await publishedModels();
  io.stdout.write(`${values.json ? JSON.stringify(models, null, 2) : describe(models)}\n`);
}

function describe(models: readonly PublishedModel[]): string {
  const width = Math.max(...models.map(({ source }) => source.length));
  const lines: string[] = [];
  for (const family of new Set(models.map((model) => model.family))) {
    const members = models.filter((model) => model.family === family);
    const { goodFor, licence, note } = members[0]!;
    lines.push(`${family}: ${goodFor}. Licence: ${licence}.`, ...(note === '' ? [] : [`  (${note})`]));
    for (const model of members) lines.push(`  ${model.source.padEnd(width)}  ${figures(model)}`);
    lines.push('');
  }
  const tried = models.every((model) => model.tried === 'files of the same form');
  if (tried) lines.push('None of these files could be downloaded where this version was tested: it was tried on files of the same form.', '');
  lines.push('Sizes are computed from the shapes. Try one: matmulfree generate "Once upon a time" --model NAME');
  return lines.join('\n');
}

function figures({ parameters, diskBytes, memoryBytes, bytesPer1000Tokens, stateBytes, roomForTokens }: PublishedModel): string {
  const count = parameters < 1e9 ? `${(parameters / 1e6).toFixed(0)}M` : `${(parameters / 1e9).toFixed(1)}B`;
  const each = `${formatBytes(bytesPer1000Tokens)} for 1,000 tokens`;
  const text = bytesPer1000Tokens === 0 ? `+ ${formatBytes(stateBytes)} for a text of any length` : stateBytes === 0 ? `+ ${each}` : `+ ${formatBytes(stateBytes)} for a text, and ${each}`;
  const room = roomForTokens < CONTEXT_TOKENS ? `; room for some ${plural(Math.floor(roomForTokens / 100) * 100, 'token')} (--context-tokens)` : '';
  return `${count.padStart(5)}  ${formatBytes(diskBytes).padStart(6)} on disk  ${formatBytes(memoryBytes).padStart(6)} in memory ${text}${room}`;
}

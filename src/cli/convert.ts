import { readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { checkConversion, convert, CONVERT_TYPES, inspect, convertToSafetensors, type FilePart } from '../index.js';
import { parseCommand, UsageError } from './arguments.js';
import type { Io } from './io.js';
import { asParts, cannotWrite, putInPlace } from './put-in-place.js';
import { formatBytes, plural, ProgressLine } from './terminal.js';
import { HELP } from './usage.js';

export async function convertCommand(args: readonly string[], io: Io): Promise<void> {
  const { values } = parseCommand(args, {
    model: { type: 'string' },
    out: { type: 'string' },
    type: { type: 'string' },
    name: { type: 'string' },
    'no-check': { type: 'boolean' },
    quiet: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  }, false);
  if (values.help) return void io.stdout.write(`${HELP.convert}\n`);
  const { model, out, type, name } = values;
  if (model === undefined || out === undefined) throw new UsageError('convert takes --model SOURCE and --out FILE.gguf, or --out FOLDER');
  const blockType = CONVERT_TYPES.find((known) => known === type);
  if (type !== undefined && type !== 'safetensors' && !blockType) throw new UsageError(`--type ${type}: must be ${CONVERT_TYPES.join(', ')} or safetensors`);
  const progress = new ProgressLine(values.quiet === true, io.stderr);
  const common = { signal: io.signal, onProgress: progress.listener };
  let checked = 'not checked';
  const check = async (file: string): Promise<void> => {
    if (values['no-check']) return;
    const { tokens } = await checkConversion(model, file, common);
    checked = `checked: ${plural(tokens, 'token')} have the same logits as in the source, bit for bit`;
  };
  const isGguf = out.toLowerCase().endsWith('.gguf');
  let parts: AsyncIterable<FilePart>;
  if (type === 'safetensors') {
    if (isGguf) throw new UsageError(`--out ${out}: must be a folder, which gets config.json, model.safetensors and the tokenizer's files`);
    if (name !== undefined) throw new UsageError('--name is for GGUF files: a folder has the name that --out gives it');
    await requireFree(resolve(out));
    parts = convertToSafetensors(model, common);
  } else {
    if (!isGguf) throw new UsageError(`--out ${out}: the name must end in .gguf`);
    parts = asParts(convert(model, { type: blockType, name, ...common }));
  }
  const bytes = await putInPlace(out, isGguf ? 'file' : 'folder', parts, check).finally(() => progress.clear());
  if (!values.quiet) io.stderr.write(`${out}: ${formatBytes(bytes)}, ${type ?? (await ternaryTypes(out))}; ${checked}\n`);
}

/** Of a file whose type was not asked for. */
async function ternaryTypes(file: string): Promise<string> {
  const { tensors } = await inspect(file);
  return [...new Set(tensors.map(({ type }) => type))].filter((type) => CONVERT_TYPES.some((known) => known === type)).join(', ');
}

/** A file is replaced, a folder never: it may hold what nobody meant to lose. */
async function requireFree(folder: string): Promise<void> {
  let files: string[] = [];
  try {
    files = await readdir(folder);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw cannotWrite(folder, error);
  }
  if (files.length > 0) throw cannotWrite(folder, 'there is a folder of that name with files in it; remove it or give another name');
}

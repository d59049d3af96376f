import { checkConversion, convert, CONVERT_TYPES, inspect, convertToSafetensors, type FilePart } from '../index.js';
import { parseCommand, UsageError } from './arguments.js';
import { layoutOption } from './embedded.js';
import type { Io } from './io.js';
import { targetOf } from './leftovers.js';
import { modelOutput } from './model-output.js';
import { asParts, putInPlace } from './put-in-place.js';
import { formatBytes, plural, ProgressLine } from './terminal.js';
import { HELP } from './usage.js';

export async function convertCommand(args: readonly string[], io: Io): Promise<void> {
  const { values } = parseCommand(args, {
    model: { type: 'string' },
    out: { type: 'string' },
    type: { type: 'string' },
    name: { type: 'string' },
    'i2s-layout': { type: 'string' },
    'no-check': { type: 'boolean' },
    quiet: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  }, false);
  if (values.help) return void io.stdout.write(`${HELP.convert}\n`);
  const { model, out, type, name } = values;
  if (model === undefined || out === undefined) throw new UsageError('convert takes --model SOURCE and --out FILE.gguf, or --out FOLDER');
  const output = await modelOutput(out, type);
  if (output.kind === 'folder' && name !== undefined) throw new UsageError('--name is for GGUF files: a folder has the name that --out gives it');
  const progress = new ProgressLine(values.quiet === true, io.stderr);
  const common = { signal: io.signal, onProgress: progress.listener, i2sLayout: layoutOption(values['i2s-layout']) };
  let checked = 'not checked';
  const check = async (file: string): Promise<void> => {
    if (values['no-check']) return;
    const { tokens } = await checkConversion(model, file, { ...common, onProgress: (told) => progress.listener({ ...told, file: targetOf(told.file) }) });
    checked = `checked: ${plural(tokens, 'token')} have the same logits as in the source, bit for bit`;
  };
  const parts: AsyncIterable<FilePart> = output.kind === 'folder' ? convertToSafetensors(model, common) : asParts(convert(model, { type: output.type, name, ...common }));
  const bytes = await putInPlace(out, output.kind, parts, check).finally(() => progress.clear());
  if (!values.quiet) io.stderr.write(`${out}: ${formatBytes(bytes)}, ${type ?? (await ternaryTypes(out))}; ${checked}\n`);
}

/** Of a file whose type was not asked for. */
async function ternaryTypes(file: string): Promise<string> {
  const { tensors } = await inspect(file);
  return [...new Set(tensors.map(({ type }) => type))].filter((type) => CONVERT_TYPES.some((known) => known === type)).join(', ');
}

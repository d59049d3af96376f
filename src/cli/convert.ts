import { randomUUID } from 'node:crypto';
import { open, rename, rm, stat } from 'node:fs/promises';
import { checkConversion, convert, SourceError, type ConvertOptions } from '../index.js';
import { describeFileError, formatBytes, ProgressLine } from './terminal.js';
import { HELP, parseCommand, UsageError } from './usage.js';

export async function convertCommand(args: readonly string[], signal: AbortSignal): Promise<void> {
  const { values } = parseCommand(args, {
    model: { type: 'string' },
    out: { type: 'string' },
    type: { type: 'string' },
    name: { type: 'string' },
    'no-check': { type: 'boolean' },
    quiet: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  }, false);
  if (values.help) return void process.stdout.write(`${HELP.convert}\n`);
  const { model, out, type = 'TQ2_0', name } = values;
  if (model === undefined || out === undefined) throw new UsageError('convert takes --model SOURCE and --out FILE.gguf');
  if (!out.toLowerCase().endsWith('.gguf')) throw new UsageError(`--out ${out}: the name must end in .gguf`);
  if (type !== 'TQ1_0' && type !== 'TQ2_0') throw new UsageError(`--type ${type}: must be TQ1_0 or TQ2_0`);
  const progress = new ProgressLine(values.quiet === true);
  const common = { signal, onProgress: progress.listener };
  const options: ConvertOptions = { type, name, ...common };
  let checked = 'not checked';
  const check = async (file: string): Promise<void> => {
    if (values['no-check']) return;
    const { tokens } = await checkConversion(model, file, common);
    checked = `checked: ${tokens} tokens have the same logits as in the source, bit for bit`;
  };
  const bytes = await writeWhole(out, convert(model, options), check).finally(() => progress.clear());
  if (!values.quiet) process.stderr.write(`${out}: ${formatBytes(bytes)}, ${type}; ${checked}\n`);
}

/**
 * Writes a file beside its name and moves it into place when it is whole and `check` has nothing against it: a file that was there
 * stays good until then.
 */
async function writeWhole(path: string, chunks: AsyncIterable<Uint8Array>, check: (path: string) => Promise<void>): Promise<number> {
  const writing = <T>(action: Promise<T>): Promise<T> => action.catch((error: unknown) => {
    throw new SourceError(`cannot write ${path}: ${describeFileError(error)}`);
  });
  const partial = `${path}.${randomUUID().slice(0, 8)}.partial`;
  // Before the source is read, which may take long.
  if ((await stat(path).catch(() => undefined))?.isDirectory()) throw new SourceError(`cannot write ${path}: is a folder`);
  const file = await writing(open(partial, 'wx'));
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      await writing(file.writeFile(chunk));
      bytes += chunk.length;
    }
    await writing(file.sync());
    await file.close();
    await check(partial);
    await writing(rename(partial, path));
    return bytes;
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(partial, { force: true });
    throw error;
  }
}

import { mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { checkConversion, convert, CONVERT_TYPES, inspect, convertToSafetensors, SourceError, type FilePart } from '../index.js';
import { parseCommand, UsageError } from './arguments.js';
import type { Io } from './io.js';
import { partialPath, removeLeftovers } from './leftovers.js';
import { describeFileError, formatBytes, plural, ProgressLine } from './terminal.js';
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

async function* asParts(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<FilePart, void, undefined> {
  for await (const bytes of chunks) yield { file: '', bytes };
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

/**
 * Writes a file (all parts have the name '') or the files of a folder beside their name, and moves them into place when they are
 * whole and `check` has nothing against them: a file that was there stays good until then.
 */
async function putInPlace(
  out: string, kind: 'file' | 'folder', parts: AsyncIterable<FilePart>, check: (path: string) => Promise<void>,
): Promise<number> {
  const path = resolve(out); // without a slash at its end
  const partial = await partialPath(path);
  const writing = <T>(action: Promise<T>): Promise<T> => action.catch((error: unknown) => { throw cannotWrite(out, error); });
  // Before the source is read, which may take long.
  if (kind === 'file' && (await stat(path).catch(() => undefined))?.isDirectory()) throw cannotWrite(out, 'is a folder');
  await removeLeftovers(path);
  try {
    let opened = kind === 'file' ? { file: '', handle: await writing(open(partial, 'wx')) } : undefined;
    if (kind === 'folder') await writing(mkdir(partial));
    let bytes = 0;
    try {
      for await (const part of parts) {
        if (opened?.file !== part.file) {
          if (opened) await finish(opened.handle, writing);
          opened = { file: part.file, handle: await writing(open(join(partial, part.file), 'wx')) };
        }
        await writing(opened.handle.writeFile(part.bytes));
        bytes += part.bytes.length;
      }
      if (opened) await finish(opened.handle, writing);
    } catch (error) {
      await opened?.handle.close().catch(() => undefined);
      throw error;
    }
    await check(partial);
    await writing(rename(partial, path));
    return bytes;
  } catch (error) {
    await rm(partial, { force: true, recursive: true });
    throw error;
  }
}

async function finish(handle: FileHandle, writing: <T>(action: Promise<T>) => Promise<T>): Promise<void> {
  await writing(handle.sync());
  await handle.close();
}

function cannotWrite(path: string, why: unknown): SourceError {
  return new SourceError(`cannot write ${path}: ${describeFileError(why)}`);
}

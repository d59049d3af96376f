import { readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CONVERT_TYPES, type ConvertType } from '../index.js';
import { UsageError } from './arguments.js';
import { cannotWrite } from './put-in-place.js';

/** Where a model is written to: one GGUF file, or a folder in Hugging Face layout. */
export interface ModelOutput {
  readonly kind: 'file' | 'folder';
  /** Of a file, if one was asked for. */
  readonly type: ConvertType | undefined;
}

/** What --out and --type say. @throws UsageError; SourceError for a folder that has files in it. */
export async function modelOutput(out: string, type: string | undefined): Promise<ModelOutput> {
  const blockType = CONVERT_TYPES.find((known) => known === type);
  if (type !== undefined && type !== 'safetensors' && !blockType) throw new UsageError(`--type ${type}: must be ${CONVERT_TYPES.join(', ')} or safetensors`);
  const isGguf = out.toLowerCase().endsWith('.gguf');
  if (type !== 'safetensors') {
    if (!isGguf) throw new UsageError(`--out ${out}: the name must end in .gguf, or give --type safetensors for a folder`);
    return { kind: 'file', type: blockType };
  }
  if (isGguf) throw new UsageError(`--out ${out}: must be a folder, which gets config.json, model.safetensors and the tokenizer's files`);
  await requireFree(resolve(out));
  return { kind: 'folder', type: undefined };
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

import { readFile } from 'node:fs/promises';
import { SourceError } from '../index.js';
import { describeFileError } from './terminal.js';

/** The text of a file that the command line names. @throws SourceError saying why it cannot be read. */
export async function readInput(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new SourceError(`cannot read ${file}: ${describeFileError(error)}`);
  }
}

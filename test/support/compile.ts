import { readFileSync } from 'node:fs';
import { built } from './build.js';
import { repository } from './files.js';

/** A module of the repository as `tsc` would write it. */
export function compile(file: string): string {
  return readFileSync(built(file.slice(repository('').length)), 'utf8');
}

import { ArgumentError } from '../errors.js';

/** @throws ArgumentError: what a constraint asks for is wrong, not supported, or too large. */
export function refuse(complaint: string): never {
  throw new ArgumentError(`constraint: ${complaint}`);
}

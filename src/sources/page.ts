import { nodeModules } from '../platform/node.js';

/**
 * What a script means by a path where there are no files: an address, told from that of its page (in a worker: its own). An address,
 * and a path where there are files, stays as it is.
 */
export function onPage(location: string): string {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  if (location === '' || isAddress(location) || base === undefined || nodeModules()) return location;
  try {
    return new URL(location, base).href;
  } catch {
    return location; // a worker made of a Blob has an address that nothing can be told from
  }
}

/** Whether it has a scheme: 'https:', 'hf:'; a letter and a colon are a drive of Windows. */
export function isAddress(location: string): boolean {
  return /^[a-z][a-z\d+.-]+:/i.test(location);
}

import { ArgumentError, missingPart, show, SourceError } from '../errors.js';
import type { FileSet } from '../formats/bytes.js';
import { nodeModules } from '../platform/node.js';
import type { RemoteOptions } from './hub/remote.js';
import { isAddress, onPage } from './page.js';

/**
 * Opens what a path or an address names. In a browser, paths are told from the page, and what is not http(s) is what the page may fetch:
 * `blob:`, `data:`, the scheme of an extension.
 * @param what the caller's function, for messages.
 * @throws SourceError when there is nothing, or no getting at it; ArgumentError.
 */
export async function openLocation(location: string, options: RemoteOptions, what: string): Promise<FileSet> {
  if (location === '') throw new ArgumentError(`${what}: the path is empty`);
  const address = onPage(location);
  if (/^(https?|hf):/i.test(address)) return (await import('./hub/remote.js').catch(missingPart)).openRemote(address, options);
  const hasFiles = nodeModules() !== undefined;
  const isFile = /^file:/i.test(address);
  if (!isFile && (/^([a-z][a-z\d+.-]+:\/\/|data:|blob:)/i.test(address) || (isAddress(address) && !hasFiles))) {
    return (await import('./hub/response.js').catch(missingPart)).fetchWhole(address, options, what);
  }
  if (hasFiles) {
    return (await import('./path.js').catch(missingPart)).openPath(location);
  }
  throw new SourceError(isFile
    ? `${show(location)}: a page cannot open files by their path; serve page and model with a web server, or let people choose a file and load that File`
    : `${show(location)}: there is no file system here; load an http(s) URL, a File, a Blob, a Response or bytes instead`);
}

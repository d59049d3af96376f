import { missingPart } from '../errors.js';
import type { Reading } from '../sources/hub/response.js';
import { onPage } from '../sources/page.js';
import { filesByName } from '../sources/several-files.js';
import { isResponse, type ModelSource } from '../sources/source.js';

/**
 * What can be sent of a source to a worker. A path means what it means to this page, not to the worker. What was fetched is read here: not
 * every engine can hand it over. @throws ArgumentError for what is no source; what reading a Response throws.
 */
export async function toSend(source: ModelSource, options: Reading): Promise<ModelSource> {
  if (typeof source === 'string' || source instanceof URL) return onPage(String(source));
  if (isResponse(source)) return new Map([await (await import('../sources/hub/response.js').catch(missingPart)).readResponse(source, options, 'load')]);
  filesByName(source, 'load'); // what keeps its content inside, such as a promise, would arrive as nothing
  return source;
}

/** What is not seen, breaks the line, or is obeyed by a terminal. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

function showUnseen(text: string): string {
  return text.replace(UNSEEN, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);
}

/** An address, and its query, which may hold a token. Such a bound keeps the search linear. */
const QUERY = /((?:\/\/|\bhf:|\.gguf)[^\s"'?]{0,500}\?)[^\s"']+/g;

/**
 * The error family of the library. A message says what was wrong, where (file, tensor, byte, key) and what to do, on one line.
 * Cancellation is not in this family: an aborted call rejects with the signal's own reason, as the platform does.
 */
export class MatMulFreeError extends Error {
  override name = 'MatMulFreeError';

  constructor(message = '', options?: { readonly cause?: unknown }) {
    super(showUnseen(message.replace(QUERY, '$1…')), options); // it may quote files, servers and engines
  }
}

/** A file does not follow its format: truncated, overlapping, unknown type, broken JSON. */
export class FormatError extends MatMulFreeError {
  override name = 'FormatError';
}

/** A configuration, or a tensor that disagrees with it, that this library cannot run. */
export class ConfigError extends MatMulFreeError {
  override name = 'ConfigError';
}

/** A tokenizer file that cannot be used, or text handed to a model without a tokenizer. */
export class TokenizerError extends MatMulFreeError {
  override name = 'TokenizerError';
}

/** A backend that is not available here, or that failed. */
export class BackendError extends MatMulFreeError {
  override name = 'BackendError';
}

/** A model source that cannot be found or opened. */
export class SourceError extends MatMulFreeError {
  override name = 'SourceError';
}

/** An argument of the wrong kind or out of range: an option, a token id, a state of another model. */
export class ArgumentError extends MatMulFreeError {
  override name = 'ArgumentError';
}

/** For `import().catch(…)`. Node 20 never tries such a file again, browsers not always. */
export function missingPart(error: unknown): never {
  throw new MatMulFreeError(`a part of matmulfree cannot be loaded (${String(error)}); reload the page, or restart the program`);
}

/** What every call says of a model that is no more. */
export function disposed(): ArgumentError {
  return new ArgumentError('this model has been disposed of');
}

/** What is said to who makes an object with `new` that comes of something else. */
export function notByNew(name: string, maker: string): ArgumentError {
  return new ArgumentError(`${name}: is made by ${maker}, not by new`);
}

/** What an error says, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Longest quotation in a message: files are not trusted, and messages are read by people. */
const MAX_SHOWN = 80;

/** Cuts what a message quotes to a length that people read. */
export function shorten(text: string): string {
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

/** Describes a value of a file or an argument for a message: short, on one line, whatever its size or depth. */
export function show(value: unknown): string {
  if (typeof value === 'string') {
    const quoted = showUnseen(JSON.stringify(shorten(value)));
    // A control character takes up to nine.
    return quoted.length > 2 * MAX_SHOWN ? showUnseen(JSON.stringify(`${value.slice(0, MAX_SHOWN / 8)}…`)) : quoted;
  }
  if (Array.isArray(value)) {
    const flat = value.length <= 8 && value.every((item) => typeof item !== 'object' || item === null);
    return flat ? `[${value.map(show).join(', ')}]` : `a list of ${value.length}`;
  }
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'bigint') return `${value}n`;
  return typeof value === 'function' ? 'a function' : String(value);
}

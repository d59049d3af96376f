import { shorten, show, SourceError } from '../../errors.js';

/** The server cannot be reached, or is out of order: what is in the cache may serve instead. */
export class Unreachable extends SourceError {}

/** What was asked of the network may work when it is tried again. Never leaves this folder. */
export class Broken extends Error {
  readonly retryAfterMs: number | undefined;
  /** There is no way to the server now, which time seldom mends. */
  readonly isNoWay: boolean;

  constructor(message: string, retryAfterMs?: number, isNoWay = false) {
    super(message);
    this.retryAfterMs = retryAfterMs;
    this.isNoWay = isNoWay;
  }
}

/** The error for a status that `use` has no use for. */
export function refusal(token: string | undefined, label: string, { status, complaint }: { readonly status: number; readonly complaint: string | undefined }): SourceError {
  // A server may quote the token in its complaint.
  const says = complaint === undefined ? '' : `; the server says ${show(token === undefined ? complaint : complaint.replaceAll(token, '…'))}`;
  if (status === 401 || status === 403) {
    const cure = token !== undefined ? 'the token has no access to it' : 'set HF_TOKEN, or the option token';
    return new SourceError(`${label}: refused (status ${status}): not there, private, or its terms are to be accepted first; ${cure}${says}`);
  }
  return new SourceError(`${label}: ${statusComplaint(status)}${says}`);
}

export function statusComplaint(status: number): string {
  return status === 404 ? 'is not there (status 404)' : `the server answers with status ${status}`;
}

/** What engines call it when there is no host of a name, no network, or nobody who listens. */
const NO_HOST = /ENOTFOUND|EAI_|dns error/;
const NO_WAY = /ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|ENETDOWN|EADDRNOTAVAIL|ETIMEDOUT|CONNECT_TIMEOUT|ConnectionRefused|FailedToOpenSocket|refused|unreachable|bad port/;

/** What `fetch`, or reading what it gave, has thrown. */
export function broken(error: unknown): Broken {
  if (error instanceof Broken) return error;
  const why = reasonOf(error);
  const { cause, code } = error as { cause?: unknown; code?: unknown };
  const tellsNothing = cause === undefined && code === undefined; // as in browsers
  return new Broken(whyBroken(error), undefined, NO_HOST.test(why) || NO_WAY.test(why) || tellsNothing);
}

export function whyBroken(error: unknown): string {
  const why = reasonOf(error);
  return `the connection fails: ${shorten(why)}${NO_HOST.test(why) ? ' (no host of that name is known here, or there is no network)' : ''}`;
}

/** The engines say "fetch failed", and why in the cause, some with the address, which the message has already. */
function reasonOf(error: unknown): string {
  const { code, cause, message } = error as { code?: unknown; cause?: { code?: unknown; message?: unknown }; message?: unknown };
  return String(cause?.code ?? cause?.message ?? code ?? message ?? error).replace(/^.*\(\w+:\/\/[^)]*\):? */, '');
}

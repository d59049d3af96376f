import { ArgumentError, MatMulFreeError, messageOf, TokenizerError } from '../errors.js';
import { ChatTemplateError } from '../chat/error.js';

/** What OpenAI's API calls the kinds of errors. */
type ErrorType = 'invalid_request_error' | 'authentication_error' | 'rate_limit_error' | 'server_error';

/** An error that the client is told of. */
export class ApiError extends MatMulFreeError {
  override name = 'ApiError';
  readonly status: number;
  /** The field of the request that it is about. */
  readonly param: string | undefined;
  readonly code: string | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, { param, code, headers = {} }: { param?: string; code?: string; headers?: Readonly<Record<string, string>> } = {}) {
    super(message);
    this.status = status;
    this.param = param;
    this.code = code;
    this.headers = headers;
  }

  /** As OpenAI's API has it. */
  get body(): { readonly error: { readonly message: string; readonly type: ErrorType; readonly param: string | null; readonly code: string | null } } {
    const { message, param = null, code = null } = this;
    return { error: { message, type: typeOf(this.status), param, code } };
  }
}

function typeOf(status: number): ErrorType {
  if (status === 401) return 'authentication_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

/** A field of a request that is wrong. */
export function badField(param: string, message: string, code?: string): ApiError {
  return new ApiError(400, `${param} ${message}`, { param, ...(code === undefined ? {} : { code }) });
}

/** What a client is told of an error, whatever it was. Of what is not its fault it is told nothing more. */
function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof ArgumentError || error instanceof ChatTemplateError || error instanceof TokenizerError) {
    const isMemory = /memory for keys and values/.test(messageOf(error));
    return isMemory ? busy('the memory for texts is used up; try again later') : new ApiError(400, error.message);
  }
  return new ApiError(500, 'the server had an error while it worked on this request', { code: 'internal_error' });
}

/** As `toApiError`; of an error that is the server's own, `onError` is told. */
export function tellError(error: unknown, onError: (error: unknown) => void): ApiError {
  const said = toApiError(error);
  try {
    if (said !== error && said.code === 'internal_error') onError(error);
  } catch { /* who asked has an answer all the same */ }
  return said;
}

/** Try again later. */
export function busy(message: string): ApiError {
  return new ApiError(503, message, { code: 'server_overloaded', headers: { 'retry-after': '1' } });
}

/** A prompt that there is no room for. */
export function tooLong(tokens: number, capacity: number): ApiError {
  return new ApiError(400, `the prompt has ${tokens} tokens; prompt and answer together can have ${capacity}`, { code: 'context_length_exceeded' });
}

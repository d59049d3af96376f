/** `matmulfree/server`: a model behind OpenAI's API, from a `Request` to a `Response`. */
export type * from '../platform/globals.js';
export { createHandler, type Handler } from './handler.js';
export type { ServerOptions } from './options.js';

import { ArgumentError, show } from '../errors.js';
import type { MatMulFreeLM } from '../lm.js';
import { Model } from '../model/model.js';
import { Access } from './access.js';
import { answerChat } from './chat.js';
import { answerCompletion } from './completions.js';
import { Constraints } from './constraints.js';
import { answerEmbeddings } from './embeddings.js';
import { Engine } from './engine.js';
import { ApiError, badField, busy, tellError } from './errors.js';
import type { Fields } from './fields.js';
import { Job } from './job.js';
import { checkServerOptions, type ServerOptions } from './options.js';
import { readJson } from './read-body.js';
import { jsonResponse, type Context, type Reply } from './reply.js';

/** Answers requests: `Deno.serve(handler)`, `Bun.serve({ fetch: handler })`, `event.respondWith(handler(event.request))`. */
export interface Handler {
  (request: Request): Promise<Response>;
  /** Answers nothing new from now on (503). Resolves when what runs is done. */
  close(): Promise<void>;
}

type Endpoint = (fields: Fields, context: Context, job: Job) => Promise<Reply>;

const ENDPOINTS = new Map<string, Endpoint>([['/chat/completions', answerChat], ['/completions', answerCompletion], ['/embeddings', answerEmbeddings]]);

/**
 * A server of OpenAI's API: `/v1/models`, `/v1/chat/completions`, `/v1/completions`, `/v1/embeddings` (all without `/v1` too), `/health`. Texts of
 * requests at the same time are written side by side, each as it would be alone; beginnings that prompts share are read once.
 * @throws ArgumentError for an option, or what is no model; TokenizerError for a model without a tokenizer.
 */
export function createHandler(lm: MatMulFreeLM, options: ServerOptions = {}): Handler {
  const settings = checkServerOptions(options);
  if (!(lm?.model instanceof Model)) throw new ArgumentError(`createHandler: got ${show(lm)} in place of a model that MatMulFreeLM.load gave`);
  void lm.tokenizer;
  const context: Context = { lm, settings, engine: new Engine(lm, settings), constraints: new Constraints(lm) };
  const access = new Access(settings);
  const created = Math.floor(Date.now() / 1000);
  const atWork = new Set<Promise<void>>();
  let isClosed = false;

  async function answer(request: Request): Promise<Response> {
    const { method } = request;
    const { pathname } = new URL(request.url);
    const path = pathname.replace(/^\/v1(?=\/)/, '').replace(/(?<=.)\/$/, '');
    const endpoint = ENDPOINTS.get(path);
    const name = /^\/models(?:\/(.+))?$/.exec(path);
    if (!endpoint && !name && path !== '/health') throw new ApiError(404, `there is nothing at ${show(pathname)}`, { code: 'unknown_url' });
    const methods = endpoint ? 'POST, OPTIONS' : 'GET, HEAD, OPTIONS';
    if (method === 'OPTIONS') return new Response(null, { status: 204, headers: { allow: methods, ...access.preflight(request, methods) } });
    if (!methods.split(', ').includes(method)) throw new ApiError(405, `${show(pathname)} takes ${methods}, not ${show(method)}`, { code: 'method_not_allowed', headers: { allow: methods } });
    if (path === '/health') return isClosed ? jsonResponse({ status: 'stopping' }, 503) : jsonResponse({ status: 'ok' });
    await access.check(request);
    if (isClosed) throw busy('the server is stopping');
    return endpoint ? post(request, endpoint) : models(name![1]);
  }

  function models(name: string | undefined): Response {
    const model = { id: settings.modelName, object: 'model', created, owned_by: 'matmulfree' };
    if (name === undefined) return jsonResponse({ object: 'list', data: [model] });
    requireModel(decode(name));
    return jsonResponse(model);
  }

  function requireModel(name: string | undefined): void {
    if (name === undefined || name === settings.modelName) return;
    throw new ApiError(404, `there is no model ${show(name)} here; the one that there is is called ${show(settings.modelName)}`, { code: 'model_not_found', param: 'model' });
  }

  async function post(request: Request, endpoint: Endpoint): Promise<Response> {
    const fields = await readJson(request, settings.maxBodyBytes, settings.bodyTimeMs);
    requireModel(fields.string('model'));
    const job = new Job(request.signal, settings.maxTimeMs);
    let reply: Reply | undefined;
    try {
      reply = await endpoint(fields, context, job);
      return reply.response;
    } catch (error) {
      throw job.fail(error, settings.onError);
    } finally {
      if (reply?.done) track(reply.done.finally(() => job.end()));
      else job.end();
    }
  }

  function track(work: Promise<void>): void {
    const tracked = work.finally(() => atWork.delete(tracked));
    atWork.add(tracked);
  }

  async function handle(request: Request): Promise<Response> {
    let response: Response;
    try {
      response = await answer(request);
    } catch (error) {
      const said = tellError(error, settings.onError);
      response = jsonResponse(said.body, said.status, said.headers);
    }
    for (const [key, value] of Object.entries(access.headers(request))) response.headers.set(key, value);
    if (request.method !== 'HEAD') return response;
    return new Response(null, { status: response.status, headers: response.headers });
  }

  const handler = (request: Request): Promise<Response> => {
    const response = handle(request);
    track(response.then(() => undefined));
    return response;
  };
  return Object.assign(handler, {
    async close(): Promise<void> {
      isClosed = true;
      while (atWork.size > 0) await Promise.all(atWork);
    },
  });
}

/** @throws ApiError for what is no percent-encoding. */
function decode(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    throw badField('model', `is ${show(name)}, which is no name`);
  }
}

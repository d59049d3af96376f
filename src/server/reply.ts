import type { SequenceResult } from '../generate/batch-sequence.js';
import type { MatMulFreeLM } from '../lm.js';
import type { Constraints } from './constraints.js';
import type { Engine } from './engine.js';
import type { Job } from './job.js';
import type { ServerSettings } from './options.js';

/** What endpoints work with. */
export interface Context {
  readonly lm: MatMulFreeLM;
  readonly settings: ServerSettings;
  readonly engine: Engine;
  readonly constraints: Constraints;
}

/** An answer, and when the work for it is over. */
export interface Reply {
  readonly response: Response;
  readonly done?: Promise<void> | undefined;
}

export function jsonResponse(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(JSON.stringify(value), { status, headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers } });
}

/** The first fields of what a request gets. */
export function headOf({ lm, settings }: Context, kind: 'chatcmpl' | 'cmpl', object: string): { id: string; object: string; created: number; model: string; system_fingerprint: string } {
  const random = crypto.getRandomValues(new Uint8Array(12));
  return {
    id: `${kind}-${hex(random)}`, object, created: Math.floor(Date.now() / 1000), model: settings.modelName,
    system_fingerprint: `fp_${lm.model.parts.stateShape.fingerprint}`,
  };
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Why a text ended, as OpenAI's API calls it. */
export function finishOf({ finishReason }: SequenceResult): 'stop' | 'length' {
  return finishReason === 'length' || finishReason === 'time' ? 'length' : 'stop';
}

/** What texts took. @param perPrompt texts of one prompt stand together, so many of each: it is counted once. */
export function usageOf(results: readonly SequenceResult[], perPrompt: number): Record<string, unknown> {
  const sum = (pick: (result: SequenceResult) => number, of = results): number => of.reduce((total, result) => total + pick(result), 0);
  const firsts = results.filter((_, n) => n % perPrompt === 0);
  const [prompt, completion] = [sum(({ promptTokens }) => promptTokens, firsts), sum(({ newTokens }) => newTokens)];
  return {
    prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: sum(({ cachedTokens }) => cachedTokens, firsts) },
  };
}

/** Events as they come, then `[DONE]`; an error in between is an event too. @param write sends what it has, and ends when all is done. */
export function eventStream(job: Job, write: (send: (event: unknown) => void) => Promise<void>, onError: (error: unknown) => void): Reply {
  const encoder = new TextEncoder();
  let isOpen = true;
  let done: Promise<void> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const put = (text: string): void => {
        if (isOpen) controller.enqueue(encoder.encode(`data: ${text}\n\n`));
      };
      const send = (event: unknown): void => put(JSON.stringify(event));
      done = write(send).catch((error: unknown) => send(job.fail(error, onError).body)).then(() => {
        put('[DONE]');
        if (isOpen) controller.close();
        isOpen = false;
      });
    },
    cancel() {
      isOpen = false;
      job.leave();
    },
  });
  return { response: new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' } }), done };
}

import { MatMulFreeLM } from 'matmulfree';
import { createHandler, type Handler, type ServerOptions } from 'matmulfree/server';
import { FASTEST } from '../support/backends.js';
import { configJson, json, randomTensors, safetensors, type Files } from '../support/checkpoints.js';
import { TINY_BITNET, tinyDecoder } from '../support/families.js';

const PRINTABLE = ['\n', ...Array.from({ length: 95 }, (_, n) => String.fromCharCode(32 + n))];
const CONTROL = ['<|im_start|>', '<|im_end|>', '<think>', '</think>', '<tool_call>', '</tool_call>'];
export const VOCAB = PRINTABLE.length + CONTROL.length;
/** Ids of control tokens, which a random model would write, and which are not told as text. */
export const CONTROL_IDS = CONTROL.map((_, n) => PRINTABLE.length + n);

/** A tokenizer of the characters that JSON needs, one by one. */
const tokenizer = json({
  added_tokens: CONTROL.map((content, n) => ({ id: PRINTABLE.length + n, content, special: n < 2, normalized: false })),
  normalizer: null, pre_tokenizer: null, post_processor: null, decoder: { type: 'Fuse' },
  model: { type: 'BPE', vocab: Object.fromEntries(PRINTABLE.map((character, id) => [character, id])), merges: [], unk_token: ' ' },
});

export const TURN_END = PRINTABLE.length + 1;
const IDS = { bos_token_id: null, eos_token_id: TURN_END };

/** A recurrent model. */
export function recurrentFiles(seed = 1): Files {
  const shape = { hidden: 16, intermediate: 24, layers: 2, vocab: VOCAB, lowerBounds: true };
  return { 'config.json': json(configJson(shape, IDS)), 'model.safetensors': safetensors(randomTensors(shape, seed)), 'tokenizer.json': tokenizer };
}

/** One with attention. */
export function transformerFiles(seed = 1): Files {
  return { ...tinyDecoder({ ...TINY_BITNET, vocab: VOCAB }, seed, IDS), 'tokenizer.json': tokenizer };
}

/** ChatML as Qwen3 has it: tools in the system message, calls in `<tool_call>`, an empty thought where none is wanted. */
export const TEMPLATE = `{%- if tools %}<|im_start|>system
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% endif %}
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{{ message.content }}{% for call in message.tool_calls or [] %}<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% if enable_thinking is defined and enable_thinking is false %}<think>

</think>

{% elif enable_thinking %}<think>
{% endif %}{%- endif -%}`;

export async function loadChat(files = recurrentFiles(), options: Parameters<typeof MatMulFreeLM.load>[1] = {}): Promise<MatMulFreeLM> {
  return MatMulFreeLM.load(files, { backend: FASTEST.backend, threads: 1, chatTemplate: TEMPLATE, ...options });
}

interface Call {
  readonly id: string;
  readonly function: { readonly name: string; readonly arguments: string };
}

interface Message {
  readonly content?: string | null;
  readonly reasoning_content?: string;
  readonly tool_calls?: readonly Call[];
}

export interface Choice {
  readonly index: number;
  readonly message: Message;
  readonly delta: Message;
  readonly text: string;
  readonly finish_reason: string | null;
  readonly logprobs: {
    readonly content: readonly unknown[]; readonly tokens: readonly string[]; readonly text_offset: readonly number[];
    readonly token_logprobs: readonly number[]; readonly top_logprobs: readonly unknown[];
  } | null;
}

/** What comes back, as far as the tests look at it. */
export interface Json {
  readonly id: string;
  readonly object: string;
  readonly choices: readonly Choice[];
  readonly data: readonly { readonly id: string; readonly embedding: number[] & string }[];
  readonly usage: Readonly<Record<string, number>> & { readonly prompt_tokens_details: { readonly cached_tokens: number } };
  readonly error: { readonly message: string; readonly type: string; readonly param: string | null; readonly code: string | null };
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Json;
}

/** A handler, and what a client does with it. */
export class Client {
  readonly handler: Handler;

  constructor(lm: MatMulFreeLM, options: ServerOptions = {}) {
    this.handler = createHandler(lm, { onError: (error) => console.error(error), ...options });
  }

  request(path: string, body?: unknown, init: RequestInit = {}): Promise<Response> {
    const sending = body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' }, body: typeof body === 'string' ? body : JSON.stringify(body) };
    return this.handler(new Request(`http://localhost${path}`, { ...sending, ...init, headers: { ...sending.headers, ...(init.headers as Record<string, string>) } }));
  }

  async ask(path: string, body?: unknown, init: RequestInit = {}): Promise<Answered> {
    const response = await this.request(path, body, init);
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: (text === '' ? undefined : JSON.parse(text)) as Json };
  }

  chat(body: Record<string, unknown>, init?: RequestInit): Promise<Answered> {
    return this.ask('/v1/chat/completions', { messages: HI, ...body }, init);
  }

  /** The events of a stream, without the last, which is `[DONE]`. */
  async stream(path: string, body: Record<string, unknown>): Promise<Json[]> {
    const response = await this.request(path, { ...body, stream: true });
    const text = await response.text();
    if (response.headers.get('content-type') !== 'text/event-stream; charset=utf-8') throw new Error(text);
    const events = text.split('\n\n');
    if (events.pop() !== '' || events.pop() !== 'data: [DONE]') throw new Error(`the stream has no end: ${text}`);
    return events.map((event) => JSON.parse(event.replace(/^data: /, '')) as Json);
  }
}

export const HI = [{ role: 'user', content: 'Hi' }];

import { badField, tooLong } from './errors.js';
import type { Fields } from './fields.js';
import type { Job } from './job.js';
import { jsonResponse, type Context, type Reply } from './reply.js';
import { readTexts } from './texts.js';

const MAX_INPUTS = 2048;

/** POST /v1/embeddings: hidden states, averaged over the tokens of each text, of length 1. */
export async function answerEmbeddings(fields: Fields, { lm, settings, engine }: Context, { signal }: Job): Promise<Reply> {
  fields.checkNames(['input', 'model', 'encoding_format', 'dimensions', 'user']);
  const { hiddenSize } = lm.config;
  const format = fields.oneOf('encoding_format', ['float', 'base64']) ?? 'float';
  const dimensions = fields.number('dimensions', 1, Number.MAX_SAFE_INTEGER, 'whole') ?? hiddenSize;
  if (dimensions !== hiddenSize) throw badField('dimensions', `is ${dimensions}; this model's vectors have ${hiddenSize}`, 'unsupported_parameter');
  const inputs = readTexts(fields, 'input', MAX_INPUTS, lm);
  for (const ids of inputs) {
    if (ids.length === 0) throw badField('input', 'has an empty text');
    if (ids.length > engine.capacity) throw tooLong(ids.length, engine.capacity);
  }
  engine.gate.checkRoom(1);
  const data: unknown[] = [];
  for (const [index, ids] of inputs.entries()) {
    // One after another, among the texts of others: it takes memory as they do.
    const leave = await engine.gate.enter(engine.reserve(ids.length), signal);
    try {
      const vector = await lm.embed(ids, { normalize: true, signal });
      data.push({ object: 'embedding', index, embedding: format === 'base64' ? base64(vector) : Array.from(vector) });
    } finally {
      leave();
    }
  }
  const tokens = inputs.reduce((sum, { length }) => sum + length, 0);
  return { response: jsonResponse({ object: 'list', data, model: settings.modelName, usage: { prompt_tokens: tokens, total_tokens: tokens } }) };
}

/** Of float32, the least significant byte first. */
function base64(vector: Float32Array): string {
  const view = new DataView(new ArrayBuffer(4 * vector.length));
  vector.forEach((value, n) => view.setFloat32(4 * n, value, true));
  let text = '';
  for (let at = 0; at < view.byteLength; at++) text += String.fromCharCode(view.getUint8(at));
  return btoa(text);
}

import { show } from '../errors.js';
import type { SequenceResult } from '../generate/batch-sequence.js';
import type { TokenPiece } from '../generate/text-pieces.js';
import { readFormat } from './constraints.js';
import type { Wanted } from './engine.js';
import { badField } from './errors.js';
import type { Fields } from './fields.js';
import type { Job } from './job.js';
import { Logprobs } from './logprobs.js';
import { eventStream, finishOf, headOf, jsonResponse, usageOf, type Context, type Reply } from './reply.js';
import { MAX_TOP_LOGPROBS, nth, readCount, readSampling, readStream, SAMPLING_FIELDS } from './sampling.js';
import { readTexts } from './texts.js';

const FIELDS = [...SAMPLING_FIELDS, 'prompt', 'echo', 'best_of', 'suffix'];
const MAX_PROMPTS = 128;
/** As OpenAI's API has it. */
const DEFAULT_TOKENS = 16;

interface Written {
  readonly text: string;
  readonly tokens: readonly TokenPiece[];
  readonly result: SequenceResult;
}

/** POST /v1/completions */
export async function answerCompletion(fields: Fields, context: Context, job: Job): Promise<Reply> {
  const { lm, settings, engine } = context;
  fields.checkNames(FIELDS);
  const echo = fields.boolean('echo') ?? false;
  const count = readCount(fields);
  const topLogprobs = fields.number('logprobs', 0, MAX_TOP_LOGPROBS, 'whole');
  if (fields.string('suffix')) throw badField('suffix', 'is not supported: the model writes on from a text alone', 'unsupported_parameter');
  if ((fields.number('best_of', 1, Infinity, 'whole') ?? count) !== count) throw badField('best_of', 'is not supported unless it is n', 'unsupported_parameter');
  if (echo && topLogprobs !== undefined) throw badField('echo', 'is not supported with logprobs', 'unsupported_parameter');
  const { isStream, withUsage } = readStream(fields);
  const texts = wanted(fields, context, count, topLogprobs);
  engine.check(texts);
  const head = headOf(context, 'cmpl', 'text_completion');
  const logprobs = topLogprobs === undefined ? undefined : new Logprobs(lm.tokenizer);
  const logprobsOf = (tokens: readonly TokenPiece[], offset: number): unknown => (logprobs ? logprobs.ofCompletion(tokens, offset) : null);
  const before = texts.map(({ ids }) => (echo ? lm.tokenizer.decode(ids) : ''));
  if (!isStream) {
    const written = await Promise.all(texts.map((text) => write(context, text, job)));
    const choices = written.map(({ text, tokens, result }, index) => ({ index, text: before[index] + text, logprobs: logprobsOf(tokens, 0), finish_reason: finishOf(result) }));
    return { response: jsonResponse({ ...head, choices, usage: usageOf(written.map(({ result }) => result), count) }) };
  }
  return eventStream(job, async (send) => {
    const usage = withUsage ? { usage: null } : {};
    const chunk = (index: number, text: string, of: unknown, reason: string | null): void => send({ ...head, choices: [{ index, text, logprobs: of, finish_reason: reason }], ...usage });
    const written = await Promise.all(texts.map(async (text, index) => {
      if (echo) chunk(index, before[index]!, null, null);
      let offset = 0;
      const one = await write(context, text, job, (piece, tokens) => {
        chunk(index, piece, logprobsOf(tokens, offset), null);
        offset += piece.length;
      });
      chunk(index, '', null, finishOf(one.result));
      return one;
    }));
    if (withUsage) send({ ...head, choices: [], usage: usageOf(written.map(({ result }) => result), count) });
  }, settings.onError);
}

/** The texts that are asked for: so many of each prompt, one after another. */
function wanted(fields: Fields, { lm, settings, constraints }: Context, count: number, topLogprobs: number | undefined): Wanted[] {
  const { eosTokenIds } = lm.config;
  const options = readSampling(fields, lm, settings, DEFAULT_TOKENS);
  const format = readFormat(fields);
  const constraint = constraints.compile(format, options.eosTokenIds ?? eosTokenIds);
  const prompts = readTexts(fields, 'prompt', MAX_PROMPTS, lm);
  if (prompts.length * count > MAX_PROMPTS) throw badField('prompt', `and n ask for ${prompts.length * count} texts; at most ${MAX_PROMPTS} are written for a request`);
  return prompts.flatMap((ids, prompt) => {
    if (ids.length === 0) throw badField('prompt', `is ${show('')}, and this model's texts have no token to begin with`);
    return Array.from({ length: count }, (_, n) => ({ ids, options: nth(options, prompt * count + n), constraint, topLogprobs }));
  });
}

async function write({ engine }: Context, text: Wanted, { signal }: Job, onPiece?: (text: string, tokens: readonly TokenPiece[]) => void): Promise<Written> {
  let whole = '';
  const tokens: TokenPiece[] = [];
  const result = await engine.write(text, (piece) => {
    whole += piece.text;
    if (piece.token) tokens.push(piece.token);
    onPiece?.(piece.text, piece.token ? [piece.token] : []);
  }, signal);
  return { text: whole, tokens, result };
}

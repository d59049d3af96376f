import { MatMulFreeError, type GenerateOptions, type MatMulFreeLM } from '../index.js';
import { AnswerOutput } from './answer-output.js';
import { parseCommand, UsageError } from './arguments.js';
import { EXIT, isCommand, runCommand } from './chat-commands.js';
import { loadFromFlags, MODEL_OPTIONS } from './embedded.js';
import { decodeText, readInput, STDIN } from './input.js';
import type { Io } from './io.js';
import type { Keyboard } from './keyboard.js';
import { MessageReader, type Message } from './message-reader.js';
import { Talk } from './talk.js';
import { onOneLine } from './terminal.js';
import { HELP } from './usage.js';
import { CHAT_MAX_NEW_TOKENS, DEFAULT_TEMPERATURE, DEFAULT_TOP_P, WRITING_OPTIONS, writingOptions } from './writing.js';

const PROMPTS = { first: '> ', next: '... ' };

export async function chatCommand(args: readonly string[], io: Io): Promise<void> {
  const { values } = parseCommand(args, {
    ...MODEL_OPTIONS, ...WRITING_OPTIONS,
    system: { type: 'string' },
    load: { type: 'string' },
    'chat-template': { type: 'string' },
    'no-thinking': { type: 'boolean' },
  }, false);
  if (values.help) return void io.stdout.write(`${HELP.chat}\n`);
  const { system, load, 'chat-template': templateFile } = values;
  if (system !== undefined && load !== undefined) throw new UsageError('give one of --system, which begins a conversation, and --load, which goes on with one');
  for (const name of ['chat-template', 'json-schema', 'load'] as const) {
    if (values[name] === STDIN) throw new UsageError(`--${name} takes a file: what comes from stdin is what is said`);
  }
  const chatTemplate = templateFile === undefined ? undefined : await readInput(templateFile, io);
  const asked = await writingOptions(values, io);
  const lm = await loadFromFlags(values, io, { chatTemplate });
  try {
    if (!lm.hasChatTemplate) {
      throw new UsageError(values.model === undefined
        ? 'the model that comes with the package tells stories; give one that chats with --model (matmulfree models lists some), or a chat template with --chat-template FILE'
        : `${values.model}: has no chat template, which says how a conversation is written; give one with --chat-template FILE`);
    }
    const { generationDefaults: known } = lm;
    const answers = {
      ...asked, system,
      temperature: asked.temperature ?? known.temperature ?? DEFAULT_TEMPERATURE,
      topP: asked.topP ?? known.topP ?? DEFAULT_TOP_P,
      maxNewTokens: asked.maxNewTokens ?? known.maxNewTokens ?? CHAT_MAX_NEW_TOKENS,
      enableThinking: values['no-thinking'] ? false : undefined,
    };
    await checkOptions(lm, answers);
    const quiet = values.quiet === true;
    const talk = new Talk(lm, { answers, output: new AnswerOutput(io.stdout, values['no-thinking'] === true), quiet }, io);
    const loaded = load === undefined ? undefined : await talk.load(load);
    const keyboard = io.stdin.keyboard?.();
    if (!keyboard) return await answerPipe(talk, io);
    try {
      if (!quiet) io.stderr.write(`${loaded === undefined ? '' : `${onOneLine(loaded)}\n`}/help lists what else there is; Ctrl-C stops an answer, Ctrl-D leaves\n`);
      await answerKeyboard(talk, keyboard, io);
    } finally {
      keyboard.close();
    }
  } finally {
    lm.dispose();
  }
}

/** Before somebody has written a message: an option, or the template, that cannot be. @throws UsageError, ChatTemplateError. */
async function checkOptions(lm: MatMulFreeLM, { system: _system, ...options }: GenerateOptions & { readonly system?: string | undefined }): Promise<void> {
  const stop = new Error('far enough');
  try {
    await lm.generate([{ role: 'user', content: 'Hi' }], { ...options, signal: AbortSignal.abort(stop) }).next();
  } catch (error) {
    if (error !== stop) throw error;
  }
}

/** Each line is a message or a command. What fails ends it. */
async function answerPipe(talk: Talk, io: Io): Promise<void> {
  const reader = new MessageReader();
  for await (const line of linesOf(decodeText(io.stdin.bytes()))) {
    const message = reader.push(line);
    if (message && (await respond(talk, message, io, io.signal)) === EXIT) return;
  }
  io.signal.throwIfAborted();
  const rest = reader.end();
  if (rest) await respond(talk, rest, io, io.signal);
}

async function* linesOf(pieces: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  let rest = '';
  for await (const piece of pieces) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop()!;
    for (const line of lines) yield line.replace(/\r$/, '');
  }
  if (rest !== '') yield rest;
}

/** Until somebody leaves. What fails is told. */
async function answerKeyboard(talk: Talk, keyboard: Keyboard, io: Io): Promise<void> {
  const reader = new MessageReader();
  let wasInterrupted = false;
  for (;;) {
    const typed = await keyboard.read(reader.isOpen ? PROMPTS.next : PROMPTS.first);
    io.signal.throwIfAborted();
    if (typed === 'end') return;
    if (typed === 'discard' || (typed === 'interrupt' && reader.isOpen)) {
      reader.reset();
      continue;
    }
    if (typed === 'interrupt') {
      if (wasInterrupted) return;
      wasInterrupted = true;
      io.stderr.write('Ctrl-C again, or Ctrl-D, leaves\n');
      continue;
    }
    wasInterrupted = false;
    const message = reader.push(typed.text);
    if (!message) continue;
    const stop = new AbortController();
    keyboard.onInterrupt(() => stop.abort());
    try {
      if ((await respond(talk, message, io, AbortSignal.any([io.signal, stop.signal]))) === EXIT) return;
    } catch (error) {
      io.signal.throwIfAborted();
      if (!stop.signal.aborted && !(error instanceof MatMulFreeError)) throw error;
      if (!stop.signal.aborted) io.stderr.write(`${onOneLine(error instanceof Error ? error.message : String(error))}\n`);
    }
    wasInterrupted = stop.signal.aborted;
  }
}

async function respond(talk: Talk, { text, isTyped }: Message, io: Io, signal: AbortSignal): Promise<typeof EXIT | void> {
  if (text.trim() === '') return;
  if (!isTyped || !isCommand(text)) return talk.say(isTyped ? text.replace(/^\/\//, '/') : text, signal);
  const told = await runCommand(text, talk, signal);
  if (typeof told !== 'string') return told;
  io.stderr.write(`${told.split('\n').map((line) => line.trimEnd()).join('\n')}\n`);
}

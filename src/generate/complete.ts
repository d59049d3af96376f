import { ArgumentError } from '../errors.js';
import { givenOptions } from '../options.js';
import { parseAnswer, type Answer } from './answer.js';
import { answerPrompt } from './answer-prompt.js';
import { TEXT } from './generate.js';
import { TEXT_OPTIONS, type GenerateOptions, type GenerateResult } from './options.js';
import { isMessages, type Prompt } from './prompt.js';
import type { TextWriter } from './text-writer.js';
import { askFor, type ToolOptions } from './tool-choice.js';
import type { ChatHost } from './transcript.js';

export interface CompleteOptions extends GenerateOptions, ToolOptions {}

/** A text that was written, as a whole. After messages it is an answer, taken apart: `text` is without the thought and the calls of tools. */
export interface Completion extends GenerateResult, Omit<Answer, 'content'> {
  readonly text: string;
}

/** `lm.complete`. */
export async function complete(writer: TextWriter, lm: { chats(what: string): ChatHost }, prompt: Prompt, given: CompleteOptions): Promise<Completion> {
  const what = 'complete';
  const { tools, enableThinking, templateVariables, toolChoice, ...options } = givenOptions(what, given, [...TEXT_OPTIONS, 'toolChoice']);
  if (!isMessages(prompt)) {
    if (toolChoice !== undefined) throw new ArgumentError(`${what}: option toolChoice is for a prompt of messages`);
    const { text, result } = await collect(writer, what, prompt, options);
    return { ...result, text };
  }
  const chats = lm.chats(what);
  const { render, constraint, callable } = await askFor(what, chats, prompt, { tools, enableThinking, templateVariables, toolChoice }, options.constraint, options.eosTokenIds);
  const { text, result } = await collect(writer, what, prompt, { ...options, ...render, constraint });
  const { content, ...rest } = parseAnswer(text, answerPrompt(chats.format, prompt, { ...render, constraint }).isThinking, callable);
  return { ...result, text: content, ...rest };
}

async function collect(writer: TextWriter, what: string, prompt: Prompt, options: GenerateOptions): Promise<{ readonly text: string; readonly result: GenerateResult }> {
  const generator = writer.write(TEXT, what, options, writer.startOf(prompt));
  let text = '';
  let step = await generator.next();
  for (; !step.done; step = await generator.next()) text += step.value;
  return { text, result: step.value };
}

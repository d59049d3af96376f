import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { ArgumentError, ChatTemplateError, MatMulFreeError, SourceError, type ChatOptions, type Conversation, type MatMulFreeLM } from '../index.js';
import type { AnswerOutput } from './answer-output.js';
import { cannotRead } from './input.js';
import type { Io } from './io.js';
import { putInPlace } from './put-in-place.js';
import { formatCount, plural, ProgressLine } from './terminal.js';

type Said = Parameters<Conversation['say']>[0];

/** So many there are. */
const SEEDS = 2 ** 53;

export interface TalkOptions {
  /** Of all answers; the first one has this seed, each later one the next. */
  readonly answers: ChatOptions & { readonly seed: number };
  readonly output: AnswerOutput;
  /** Without notes and progress. */
  readonly quiet: boolean;
}

/** The conversation of `matmulfree chat`, which may begin anew, and what can be done with it. */
export class Talk {
  private readonly lm: MatMulFreeLM;
  private readonly options: TalkOptions;
  private readonly io: Io;
  private chat: Conversation;
  private system: string | undefined;
  private answers = 0;

  /** @param options with what the system says, at the beginning. */
  constructor(lm: MatMulFreeLM, options: TalkOptions, io: Io) {
    this.lm = lm;
    this.options = options;
    this.io = io;
    this.system = options.answers.system;
    this.chat = lm.chat(options.answers);
  }

  /** Writes the answer as it comes. @throws what `chat.say` throws; MatMulFreeError for a conversation that is too long. */
  async say(said: Said, signal: AbortSignal): Promise<void> {
    const { output, quiet, answers: { seed } } = this.options;
    const { stderr } = this.io;
    const progress = new ProgressLine(quiet || stderr.isTTY !== true, stderr);
    const onProgress = (tokens: number, total: number): void => progress.update('reading', tokens, total, formatCount);
    // Asked again, it is to find another answer.
    const pieces = this.chat.sayPieces(said, { seed: (seed + this.answers++) % SEEDS, signal, onProgress });
    let hasBegun = false;
    try {
      for (;;) {
        const { done, value } = await pieces.next();
        progress.clear();
        hasBegun = true;
        if (!done) {
          output.write(value);
          continue;
        }
        output.end();
        hasBegun = false;
        if (value.finishReason === 'length' && !quiet) stderr.write(`(cut after ${plural(value.newTokens, 'token')}; --max-new-tokens N allows more)\n`);
        return;
      }
    } catch (error) {
      const isFull = error instanceof ArgumentError && error.message.includes('contextTokens');
      throw isFull ? new MatMulFreeError('there is no memory for a conversation as long as that; --context-tokens N gives more') : error;
    } finally {
      progress.clear();
      if (hasBegun) output.end();
    }
  }

  /** Takes the last answer back and asks for another one. */
  async retry(signal: AbortSignal): Promise<void> {
    await this.say(this.takeBack(), signal);
  }

  undo(): void {
    this.takeBack();
  }

  /** Forgets all but what the system says; or tells the system something else. */
  begin(system = this.system): void {
    const { answers } = this.options;
    this.replace(this.lm.chat({ ...answers, system }));
    this.system = system;
  }

  /** Written whole, or not at all. */
  async save(file: string): Promise<string> {
    const bytes = this.chat.save();
    await putInPlace(pathOf(file), 'file', [{ file: '', bytes }]);
    return `${file}: ${await this.length()}`;
  }

  /** @throws SourceError for a file that cannot be read, or holds no conversation with this model. The conversation is as before then. */
  async load(file: string): Promise<string> {
    const bytes = await readFile(pathOf(file)).catch((error: unknown) => { throw cannotRead(file, error); });
    const { system: _system, ...answers } = this.options.answers;
    let opened: Conversation;
    try {
      opened = this.lm.openChat(bytes, answers);
    } catch (error) {
      throw error instanceof MatMulFreeError ? new SourceError(`${file}: ${error.message.replace(/^openChat: /, '')}`) : error;
    }
    this.replace(opened);
    const [first] = opened.messages;
    this.system = first?.role === 'system' && typeof first.content === 'string' ? first.content : undefined;
    return `${file}: ${await this.length()}`;
  }

  /** How long it is, and how it is made. */
  async describe(): Promise<string> {
    const { backend, threads } = this.lm;
    return `${await this.length()} · backend ${backend}${threads > 1 ? `, ${plural(threads, 'thread')}` : ''} · seed ${this.options.answers.seed}`;
  }

  get systemText(): string | undefined {
    return this.system;
  }

  /** Of all that was said, as the template writes it: a conversation that was loaded may not have been read yet. */
  private async length(): Promise<string> {
    const { lm: { tokenizer }, chat: { messages }, options: { answers: { enableThinking } } } = this;
    const count = plural(messages.length, 'message');
    try {
      const text = messages.length === 0 ? '' : await tokenizer.applyChatTemplate(messages, { enableThinking });
      return `${count}, ${plural(tokenizer.encode(text, { addSpecialTokens: false }).length, 'token')}`;
    } catch (error) {
      if (error instanceof ChatTemplateError) return count; // some want a question at the end
      throw error;
    }
  }

  /** @returns what was said last, without the answer. */
  private takeBack(): Said {
    const { messages } = this.chat;
    const last = messages.at(-1)?.role === 'assistant' ? messages.length - 1 : messages.length;
    const isSaid = (role: string | undefined): boolean => role !== undefined && role !== 'assistant' && role !== 'system';
    let from = last;
    while (isSaid(messages[from - 1]?.role)) from--;
    if (from === last) throw new MatMulFreeError('nothing has been said yet');
    const said = messages.slice(from, last);
    try {
      this.chat.rewind();
    } catch {
      // One that was loaded knows no place before its end: it is read again, when there is something to answer.
    }
    if (this.chat.messages.length > from) {
      const { system: _system, ...answers } = this.options.answers;
      this.replace(this.lm.chat({ ...answers, messages: messages.slice(0, from) }));
    }
    return said;
  }

  private replace(chat: Conversation): void {
    this.chat.dispose();
    this.chat = chat;
  }
}

/** As a shell has it. */
function pathOf(file: string): string {
  return file.replace(/^~(?=[/\\]|$)/, homedir());
}

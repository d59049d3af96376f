import { chatFormatOf } from '../chat/apply.js';
import type { ChatFormat } from '../chat/format.js';
import type { ChatMessage } from '../chat/messages.js';
import { textOf } from '../chat/piece-text.js';
import type { PageKeeper, PagePool } from '../model/pages.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { answerPrompt, type AnswerOptions } from './answer-prompt.js';
import { decodeChat } from './chat-bytes.js';
import { encodeRendered } from './chat-ids.js';
import { givenOptions } from '../options.js';
import { CHAT_OPTIONS, Conversation, inNameOf, type ChatOptions } from './conversation.js';
import type { Session } from './session.js';
import { Transcript, type Turn } from './transcript.js';

export { complete } from './complete.js';

/** What conversations need of their model. */
export interface ChatModel {
  readonly config: { readonly eosTokenIds: readonly number[] };
  readonly tokenizer: Tokenizer;
  readonly model: { readonly parts: { readonly pages?: PagePool | undefined } };
  session(): Session;
  openSession(bytes: Uint8Array): Session;
}

/** What a model with a chat template can do. */
export class Chats {
  readonly tokenizer: Tokenizer;
  readonly format: ChatFormat;
  /** Ids that end an answer: the model's, and what the template writes behind one. */
  readonly eosTokenIds: readonly number[];
  private readonly model: ChatModel;

  constructor(model: ChatModel, format: ChatFormat) {
    const { tokenizer, config } = model;
    this.model = model;
    this.tokenizer = tokenizer;
    this.format = format;
    this.eosTokenIds = [...new Set([...config.eosTokenIds, ...turnEnds(tokenizer, format)])];
  }

  /** Ids of a conversation that an answer is to follow, at the beginning of a text or behind what `state` has read. */
  promptIds(messages: readonly ChatMessage[], options: AnswerOptions & { readonly state?: { readonly tokens: number } | undefined }): number[] {
    return encodeRendered(this.tokenizer, answerPrompt(this.format, messages, options).pieces, !options.state?.tokens);
  }

  start(options: ChatOptions): Conversation {
    return new Conversation('chat', this, options);
  }

  /** Goes on from what `save` gave. @throws ArgumentError for bytes that are damaged, or another model's. */
  open(bytes: Uint8Array, options: ChatOptions): Conversation {
    const { chat: { messages, turns, rendered, isWhole }, session: content } = decodeChat(bytes);
    const { system: _system, ...given } = givenOptions('openChat', options, CHAT_OPTIONS);
    const session = this.sessionOf(content);
    const last = rendered.length === 0 ? {} : { rendered, mark: isWhole ? undefined : session.mark() };
    const read = turns.map((before, n): Turn => ({ messages: before, ...(n === turns.length - 1 ? last : {}) }));
    return new Conversation('openChat', this, { ...given, messages }, new Transcript(this, session, read, isWhole && rendered.length > 0));
  }

  private sessionOf(content: Uint8Array): Session {
    try {
      return this.model.openSession(content);
    } catch (error) {
      throw inNameOf('openChat', error);
    }
  }

  session(): Session {
    return this.model.session();
  }

  askUnderPressure(keeper: PageKeeper): void {
    this.model.model.parts.pages?.askUnderPressure(keeper);
  }
}

/** Undefined where there is no template. */
export async function createChats(model: ChatModel): Promise<Chats | undefined> {
  const format = await chatFormatOf(model.tokenizer);
  return format && new Chats(model, format);
}

/** Control tokens that the template writes right behind an answer. None where it cannot write one. */
function turnEnds(tokenizer: Tokenizer, format: ChatFormat): number[] {
  const mark = '\u{10FFFE}';
  try {
    const text = textOf(format.render([{ role: 'user', content: 'a' }, { role: 'assistant', content: mark }], { addGenerationPrompt: false }));
    const [id] = tokenizer.encode(text.split(mark)[1] ?? '', { addSpecialTokens: false, continues: true });
    return id !== undefined && tokenizer.isSpecial(id) ? [id] : [];
  } catch {
    return [];
  }
}

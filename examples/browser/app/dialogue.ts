import type { AnswerPiece, ChatMessage, ChatResult, MatMulFreeWorker, WorkerChat, WorkerSayOptions } from 'matmulfree/worker';
import type { Meter } from './meter.js';
import type { TokenTime } from './times.js';

/** A piece of an answer, and how long it took. */
export type TimedPiece = AnswerPiece & TokenTime;

/** What became of an answer. */
export interface Answered {
  /** As the model has it, without its thought; undefined if nothing was written, and what was said is taken back. */
  readonly text: string | undefined;
  /** Undefined if it was stopped. */
  readonly result: ChatResult | undefined;
}

const WARM_UP = 16;

/** A conversation with a model. The page uses no other part of it, so this is the place to see how conversations in `matmulfree/worker` are used. */
export class Dialogue {
  private readonly chat: WorkerChat;
  /** Known here as well, for when the worker has died. */
  private messages: readonly ChatMessage[];

  private constructor(chat: WorkerChat, messages: readonly ChatMessage[]) {
    this.chat = chat;
    this.messages = messages;
  }

  /** @param system what the model is told before all else; '' for nothing. */
  static async begin(lm: MatMulFreeWorker, system: string): Promise<Dialogue> {
    return Dialogue.of(await lm.chat(system === '' ? {} : { system }));
  }

  private static async of(chat: WorkerChat): Promise<Dialogue> {
    return new Dialogue(chat, await chat.messages());
  }

  /** The same conversation with the same model, loaded once more. It is read again when something is said. */
  async moveTo(lm: MatMulFreeWorker): Promise<Dialogue> {
    return Dialogue.of(await lm.chat({ messages: this.messages }));
  }

  /** How long its text is. */
  tokens(): Promise<number> {
    return this.chat.tokens();
  }

  /** Says something. What is written until it is stopped is part of the conversation. */
  async say(text: string, options: WorkerSayOptions, onPiece: (piece: TimedPiece) => void, meter: Meter, signal: AbortSignal): Promise<Answered> {
    const before = this.messages.length;
    const pieces = this.chat.sayPieces(text, { ...options, signal });
    let result: ChatResult | undefined;
    try {
      for (let taken = 0; ; taken++) {
        const { done, value } = await meter.time(() => pieces.next());
        if (done) {
          result = value;
          break;
        }
        onPiece({ ...value, ms: meter.take(), isWarmUp: taken < WARM_UP });
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    this.messages = await this.chat.messages();
    return { text: this.messages.length > before ? String(this.messages.at(-1)!.content) : undefined, result };
  }

  /** The same conversation once more, without what was said last and its answer. */
  async another(): Promise<Dialogue> {
    const other = await Dialogue.of(await this.chat.fork());
    await other.takeBack(1);
    return other;
  }

  /** Takes back what was said, so many times, and the answers. */
  async takeBack(times: number): Promise<void> {
    await this.chat.rewind(times);
    this.messages = await this.chat.messages();
  }

  dispose(): void {
    this.chat.dispose();
  }
}

import type { ChatMessage } from '../chat/messages.js';
import type { AnswerPiece } from '../generate/answer-stream.js';
import type { ChatResult } from '../generate/conversation.js';
import type { Handle, Said } from './protocol.js';
import { Registry } from './registry.js';
import { sendable, type WorkerSayOptions } from './worker-options.js';
import type { Streamer } from './worker-session.js';
import type { Caller } from './worker-state.js';

/**
 * A `Conversation` that lives in the worker. It holds what was taken of its answers, and no more. The worker lets go of it when it is disposed
 * of, or has been garbage-collected here.
 */
export class WorkerChat {
  private readonly chats: WorkerChats;
  private readonly handle: Handle;
  private readonly signal: AbortSignal | undefined;

  /** @internal Use `await lm.chat()`, or `await lm.openChat(bytes)`. @param signal of all answers. */
  constructor(chats: WorkerChats, handle: Handle, signal: AbortSignal | undefined) {
    this.chats = chats;
    this.handle = handle;
    this.signal = signal;
  }

  /** All that was said so far. */
  messages(): Promise<readonly ChatMessage[]> {
    return this.chats.call('chatMessages', [this.handle]);
  }

  /** Tokens of the conversation, as far as they were read or written. */
  tokens(): Promise<number> {
    return this.chats.call('chatTokens', [this.handle]);
  }

  /** Says something, and yields the answer, piece by piece, without the thought before it. It returns the whole answer, and why it ended. */
  async *say(said: Said, options: WorkerSayOptions = {}): AsyncGenerator<string, ChatResult, undefined> {
    const pieces = this.sayPieces(said, options);
    try {
      for (;;) {
        const { done, value } = await pieces.next();
        if (done) return value;
        if (value.type === 'text') yield value.text;
      }
    } finally {
      await pieces.return(undefined as never);
    }
  }

  /** As `say`, with the pieces of the thought as well. */
  async *sayPieces(said: Said, options: WorkerSayOptions = {}): AsyncGenerator<AnswerPiece, ChatResult, undefined> {
    const { signal = this.signal, ...rest } = sendable('chat.say', options);
    return yield* this.chats.stream('chatSay', [this.handle, said, rest], signal);
  }

  /** Another conversation that goes on from here. */
  async fork(): Promise<WorkerChat> {
    return this.chats.adopt(await this.chats.call('chatFork', [this.handle]), this.signal);
  }

  /** Takes back the last `turns` things that were said, and their answers. */
  rewind(turns = 1): Promise<void> {
    return this.chats.call('chatRewind', [this.handle, turns]);
  }

  /** The conversation as bytes: `lm.openChat` goes on from them, here and without a worker. */
  save(): Promise<Uint8Array> {
    return this.chats.call('chatSave', [this.handle]);
  }

  /** Lets go of it. Every later use of it rejects with ArgumentError. */
  dispose(): void {
    this.chats.free(this.handle);
  }
}

/** The conversations of one model. */
export class WorkerChats {
  readonly call: Caller;
  readonly stream: Streamer;
  private readonly chats: Registry<WorkerChat>;

  constructor(call: Caller, stream: Streamer) {
    this.call = call;
    this.stream = stream;
    this.chats = new Registry('conversation', 'this model has made', (handle) => call('freeChat', [handle]));
  }

  adopt(handle: Handle, signal: AbortSignal | undefined): WorkerChat {
    return this.chats.adopt(new WorkerChat(this, handle, signal), handle);
  }

  free(handle: Handle): void {
    this.chats.free(handle);
  }
}

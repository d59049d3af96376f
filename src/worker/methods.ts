import { ArgumentError } from '../errors.js';
import { MatMulFreeLM } from '../lm.js';
import type { ModelState } from '../model/state.js';
import type { Conversation } from '../generate/conversation.js';
import type { Session, SessionMark } from '../generate/session.js';
import type { Handlers } from './host.js';
import { Kept } from './kept.js';
import { PieceReaders } from './piece-readers.js';
import type { Handle } from './protocol.js';

/** What the worker can do, on one model. */
export function createMethods(): Handlers {
  let loaded: MatMulFreeLM | undefined;
  const states = new Kept<ModelState>('state');
  const sessions = new Kept<Session>('session');
  const marks = new Kept<SessionMark>('mark');
  const chats = new Kept<Conversation>('conversation');
  const readers = new PieceReaders();

  const model = (): MatMulFreeLM => {
    if (!loaded) throw new ArgumentError('no model has been loaded in this worker');
    return loaded;
  };
  const maybeAt = (handle: Handle | undefined): ModelState | undefined => (handle === undefined ? undefined : states.at(handle));

  return {
    hello: () => 'matmulfree',
    async load({ signal, report }, source, options) {
      if (loaded) throw new ArgumentError('this worker has a model already: each takes a worker of its own');
      loaded = await MatMulFreeLM.load(source, { ...options, signal, onProgress: report });
      const { config, backend, threads, hasTokenizer, hasChatTemplate, generationDefaults } = loaded;
      return { config, backend, threads, hasTokenizer, hasChatTemplate, generationDefaults };
    },
    generate: ({ signal }, prompt, options, state) => model().generate(prompt, { ...options, state: maybeAt(state), signal }),
    generateIds: ({ signal }, prompt, options, state) => model().generateIds(prompt, { ...options, state: maybeAt(state), signal }),
    generateTokens: ({ signal }, prompt, options, state) => model().generateTokens(prompt, { ...options, state: maybeAt(state), signal }),
    complete: ({ signal }, prompt, options, state) => model().complete(prompt, { ...options, state: maybeAt(state), signal }),
    generateBatch: ({ signal, report }, prompts, options) =>
      model().generateBatch(prompts, { ...options, signal, onPiece: (text, index) => report({ text, index }) }),
    beamSearch: ({ signal }, prompt, options) => model().beamSearch(prompt, { ...options, signal }),
    forward: (_, ids, state, options) => model().forward(ids, states.at(state), options),
    score: ({ signal, report }, textOrIds, options) => model().scoreAsync(textOrIds, { ...options, signal, onProgress: report }),
    scoreBatch: ({ signal, report }, texts, options) => model().scoreBatch(texts, { ...options, signal, onProgress: report }),
    choose: ({ signal, report }, prompt, choices, options) =>
      model().choose(prompt, choices, { ...options, signal, onProgress: (done, total) => report([done, total]) }),
    embed: ({ signal, report }, textOrIds, options) => model().embed(textOrIds, { ...options, signal, onProgress: report }),
    perplexity: ({ signal, report }, text, options) => model().perplexity(text, { ...options, signal, onProgress: report }),
    perplexityOfPieces: ({ signal, report }, options) => model().perplexity(readers.read(signal, report), { ...options, signal, onProgress: report }),
    perplexityPiece: (_, reader, pieces) => readers.give(reader, pieces),
    info: () => model().info(),
    encode: (_, text, options) => model().tokenizer.encode(text, options),
    decode: (_, ids, options) => model().tokenizer.decode(ids, options),
    count: (_, text, options) => model().tokenizer.encode(text, options).length,
    applyChatTemplate: (_, messages, options) => model().tokenizer.applyChatTemplate(messages, options),
    createState: () => states.keep(model().createState()),
    restoreState: (_, bytes) => states.keep(model().restoreState(bytes)),
    cloneState: (_, state) => states.keep(states.at(state).clone()),
    copyState: (_, from, to) => states.at(to).copyFrom(states.at(from)),
    resetState: (_, state) => states.at(state).reset(),
    stateTokens: (_, state) => states.at(state).tokens,
    serializeState: (_, state) => states.at(state).serialize(),
    freeState: (_, state) => states.free(state)?.dispose(), // one in use refuses: it is garbage when that is over
    session: () => sessions.keep(model().session()),
    openSession: (_, bytes) => sessions.keep(model().openSession(bytes)),
    sessionAppend: ({ signal, report }, session, textOrIds, options) =>
      sessions.at(session).append(textOrIds, { ...options, signal, onProgress: (tokens, total) => report([tokens, total]) }),
    sessionGenerate: ({ signal }, session, options) => sessions.at(session).generate({ ...options, signal }),
    sessionGenerateIds: ({ signal }, session, options) => sessions.at(session).generateIds({ ...options, signal }),
    sessionGenerateTokens: ({ signal }, session, options) => sessions.at(session).generateTokens({ ...options, signal }),
    sessionTokens: (_, session) => sessions.at(session).tokens,
    forkSession: (_, session) => sessions.keep(sessions.at(session).fork()),
    markSession(_, session) {
      const mark = sessions.at(session).mark();
      return { mark: marks.keep(mark), tokens: mark.tokens };
    },
    rewindSession: (_, session, mark) => sessions.at(session).rewind(marks.at(mark)),
    saveSession: (_, session) => sessions.at(session).save(),
    freeSession: (_, session) => sessions.free(session)?.dispose(),
    freeMark: (_, mark) => marks.free(mark)?.dispose(),
    chat: (_, options) => chats.keep(model().chat(options)),
    openChat: (_, bytes, options) => chats.keep(model().openChat(bytes, options)),
    chatSay: ({ signal }, chat, said, options) => chats.at(chat).sayPieces(said, { ...options, signal }),
    chatMessages: (_, chat) => chats.at(chat).messages,
    chatTokens: (_, chat) => chats.at(chat).tokens,
    chatFork: (_, chat) => chats.keep(chats.at(chat).fork()),
    chatRewind: (_, chat, turns) => chats.at(chat).rewind(turns),
    chatSave: (_, chat) => chats.at(chat).save(),
    freeChat: (_, chat) => chats.free(chat)?.dispose(), // as a state in use
  };
}

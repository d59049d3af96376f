import { ArgumentError } from '../errors.js';
import { MatMulFreeLM } from '../lm.js';
import type { ModelState } from '../model/state.js';
import type { Handlers } from './host.js';
import type { StateHandle } from './protocol.js';

/** What the worker can do, on one model. */
export function createMethods(): Handlers {
  let loaded: MatMulFreeLM | undefined;
  const states = new Map<StateHandle, ModelState>();
  let handles = 0;

  const model = (): MatMulFreeLM => {
    if (!loaded) throw new ArgumentError('no model has been loaded in this worker');
    return loaded;
  };
  const keep = (state: ModelState): StateHandle => {
    states.set(++handles, state);
    return handles;
  };
  const at = (handle: StateHandle): ModelState => {
    const state = states.get(handle);
    if (!state) throw new ArgumentError('this state has been disposed of');
    return state;
  };
  const maybeAt = (handle: StateHandle | undefined): ModelState | undefined => (handle === undefined ? undefined : at(handle));

  return {
    hello: () => 'matmulfree',
    async load({ signal, report }, source, options) {
      if (loaded) throw new ArgumentError('this worker has a model already: each takes a worker of its own');
      loaded = await MatMulFreeLM.load(source, { ...options, signal, onProgress: report });
      const { config, backend, threads, hasTokenizer, generationDefaults } = loaded;
      return { config, backend, threads, hasTokenizer, generationDefaults };
    },
    generate: ({ signal }, prompt, options, state) => model().generate(prompt, { ...options, state: maybeAt(state), signal }),
    generateIds: ({ signal }, prompt, options, state) => model().generateIds(prompt, { ...options, state: maybeAt(state), signal }),
    generateTokens: ({ signal }, prompt, options, state) => model().generateTokens(prompt, { ...options, state: maybeAt(state), signal }),
    generateBatch: ({ signal, report }, prompts, options) =>
      model().generateBatch(prompts, { ...options, signal, onPiece: (text, index) => report({ text, index }) }),
    beamSearch: ({ signal }, prompt, options) => model().beamSearch(prompt, { ...options, signal }),
    forward: (_, ids, state, options) => model().forward(ids, at(state), options),
    score: ({ signal, report }, textOrIds) => model().scoreAsync(textOrIds, { signal, onProgress: report }),
    info: () => model().info(),
    encode: (_, text, options) => model().tokenizer.encode(text, options),
    decode: (_, ids, options) => model().tokenizer.decode(ids, options),
    count: (_, text, options) => model().tokenizer.encode(text, options).length,
    createState: () => keep(model().createState()),
    restoreState: (_, bytes) => keep(model().restoreState(bytes)),
    cloneState: (_, state) => keep(at(state).clone()),
    copyState: (_, from, to) => at(to).copyFrom(at(from)),
    resetState: (_, state) => at(state).reset(),
    stateTokens: (_, state) => at(state).tokens,
    serializeState: (_, state) => at(state).serialize(),
    freeState: (_, state) => void states.delete(state),
  };
}

import { notByNew } from '../errors.js';
import type { CallOptions } from './client.js';
import type { Args, Handle, Item, MethodName, Result } from './protocol.js';
import { Registry } from './registry.js';

/** Makes a call to the worker of one model. */
export type Caller = <M extends MethodName>(method: M, args: Args<M>, options?: CallOptions<Item<M>>) => Promise<Result<M>>;

/**
 * A `ModelState` that lives in the worker: everything a model knows of a text so far. `forward` and `generate` advance it in place.
 * The worker lets go of it when it is disposed of, or has been garbage-collected here.
 */
export class WorkerState {
  private readonly states: WorkerStates;
  private readonly handle: Handle;

  /** Made by `createState`, `restoreState` and `clone`. */
  constructor(states: WorkerStates, handle: Handle) {
    if (!(states instanceof WorkerStates)) throw notByNew('WorkerState', 'await lm.createState()');
    this.states = states;
    this.handle = handle;
  }

  /** How many tokens it has seen. */
  tokens(): Promise<number> {
    return this.states.call('stateTokens', [this.handle]);
  }

  /** An independent copy: both can go on from here. */
  async clone(): Promise<WorkerState> {
    return this.states.adopt(await this.states.call('cloneState', [this.handle]));
  }

  /** Overwrites this state with another of the same model. @throws ArgumentError when it is another model's. */
  async copyFrom(other: WorkerState): Promise<void> {
    return this.states.call('copyState', [this.states.handleOf('copyFrom', other), this.handle]);
  }

  /** Back to the start of a text. */
  reset(): Promise<void> {
    return this.states.call('resetState', [this.handle]);
  }

  /** The bytes that `restoreState` reads, here and without a worker. */
  serialize(): Promise<Uint8Array> {
    return this.states.call('serializeState', [this.handle]);
  }

  /** Lets go of it. Every later use of it rejects with ArgumentError. */
  dispose(): void {
    this.states.free(this.handle);
  }
}

/** The states of one model. */
export class WorkerStates {
  readonly call: Caller;
  private readonly states: Registry<WorkerState>;

  constructor(call: Caller) {
    this.call = call;
    this.states = new Registry('state', 'this model has made (createState, restoreState, clone)', (handle) => call('freeState', [handle]));
  }

  adopt(handle: Handle): WorkerState {
    return this.states.adopt(new WorkerState(this, handle), handle);
  }

  /** @throws ArgumentError when it is not a state of this model. */
  handleOf(what: string, state: WorkerState): Handle {
    return this.states.handleOf(what, state);
  }

  free(handle: Handle): void {
    this.states.free(handle);
  }
}

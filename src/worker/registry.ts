import { ArgumentError, show } from '../errors.js';
import type { Handle } from './protocol.js';

/** The objects of a page that stand for what lives in the worker of one model. The worker lets go of it when they are garbage-collected. */
export class Registry<T extends object> {
  readonly free: (handle: Handle) => void;
  private readonly noun: string;
  private readonly maker: string;
  private readonly handles = new WeakMap<T, Handle>();
  private readonly forgotten: FinalizationRegistry<Handle>;

  /** @param noun what these objects are called, and @param maker what makes them, for messages. @param free tells the worker to let go. */
  constructor(noun: string, maker: string, free: (handle: Handle) => Promise<void>) {
    this.noun = noun;
    this.maker = maker;
    this.free = (handle) => void free(handle).catch(() => undefined); // the worker has ended, and all that it kept
    this.forgotten = new FinalizationRegistry(this.free);
  }

  adopt(object: T, handle: Handle): T {
    this.handles.set(object, handle);
    this.forgotten.register(object, handle);
    return object;
  }

  /** @throws ArgumentError when this model has not made it. */
  handleOf(what: string, object: T): Handle {
    const handle = this.handles.get(object);
    if (handle === undefined) throw new ArgumentError(`${what}: the ${this.noun} is ${show(object)}, not one that ${this.maker}`);
    return handle;
  }
}

import { ArgumentError } from '../errors.js';
import type { Handle } from './protocol.js';

/** The objects of a page that stand for what lives in the worker of one model. The worker lets go of it when they are garbage-collected. */
export class Registry<T extends object> {
  readonly free: (handle: Handle) => void;
  private readonly complaint: string;
  private readonly handles = new WeakMap<T, Handle>();
  private readonly forgotten: FinalizationRegistry<Handle>;

  /** @param complaint what is said of an object that is not one of these. @param free tells the worker to let go. */
  constructor(complaint: string, free: (handle: Handle) => Promise<void>) {
    this.complaint = complaint;
    this.free = (handle) => void free(handle).catch(() => undefined); // the worker has ended, and all that it kept
    this.forgotten = new FinalizationRegistry(this.free);
  }

  adopt(object: T, handle: Handle): T {
    this.handles.set(object, handle);
    this.forgotten.register(object, handle);
    return object;
  }

  /** @throws ArgumentError when this model has not made it. */
  handleOf(object: T): Handle {
    const handle = this.handles.get(object);
    if (handle === undefined) throw new ArgumentError(this.complaint);
    return handle;
  }
}

import { ArgumentError } from '../errors.js';
import type { Handle } from './protocol.js';

/** What the worker keeps for its page, by number. */
export class Kept<T> {
  private readonly noun: string;
  private readonly items = new Map<Handle, T>();
  private last = 0;

  /** @param noun what it is called in messages. */
  constructor(noun: string) {
    this.noun = noun;
  }

  keep(item: T): Handle {
    this.items.set(++this.last, item);
    return this.last;
  }

  has(handle: Handle): boolean {
    return this.items.has(handle);
  }

  /** @throws ArgumentError for what the page has disposed of. */
  at(handle: Handle): T {
    const item = this.items.get(handle);
    if (item === undefined) throw new ArgumentError(`this ${this.noun} has been disposed of`);
    return item;
  }

  /** @returns what it was. */
  free(handle: Handle): T | undefined {
    const item = this.items.get(handle);
    this.items.delete(handle);
    return item;
  }
}

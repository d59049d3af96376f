import type { FileSet } from '../src/formats/bytes.js';
import type { Result } from './results.js';

/** What the suite needs of where it runs: Node, or a browser's worker. */
export interface Host {
  /** Threads that can run at the same time. */
  readonly processors: number;
  /** Bytes of memory that models may take. */
  freeBytes(): number;
  /** Bytes of this process that are resident once garbage is gone, where one may ask for that. */
  readonly residentBytes?: () => number;
  /** Lets go of what is no longer used, as far as one may ask for that. */
  collectGarbage(): void;
  /**
   * A file, or a folder with files of these names.
   * @param path from the repository's root. @returns undefined when it is not there.
   */
  open(path: string, names?: readonly string[]): Promise<FileSet | undefined>;
}

/** Whom the suite tells what it finds. */
export interface Listener {
  result(result: Result): void;
  /** What was left out, and why. */
  note(text: string): void;
  /** What went wrong: a note, and the run as a whole has failed. */
  failure(text: string): void;
}

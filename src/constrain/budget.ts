import { refuse } from './refuse.js';

/**
 * How many steps something may take before it is given up: a constraint may come from anybody, and must not block the program or fill its
 * memory. A step is a tenth of a microsecond, about; memory that is kept costs steps too. Steps are counted, not time, so that what is
 * refused is the same everywhere.
 */
export class Budget {
  private left: number;
  private readonly complaint: string;

  constructor(steps: number, complaint: string) {
    this.left = steps;
    this.complaint = complaint;
  }

  /** @throws ArgumentError when no more is left. */
  spend(steps: number): void {
    this.left -= steps;
    if (this.left < 0) refuse(this.complaint);
  }

  /** So many steps for what is asked next. */
  renew(steps: number): void {
    this.left = steps;
  }
}

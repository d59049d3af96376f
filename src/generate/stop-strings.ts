/** Lets text through up to the first of some stop strings, holding back what may be the start of one. */
export class StopStrings {
  /** The stop string that was found. */
  found: string | undefined;
  private readonly stops: readonly string[];
  private held = '';

  constructor(stops: readonly string[]) {
    this.stops = stops;
  }

  /** @returns the text that can be shown now: never a part of a stop string. */
  push(text: string): string {
    this.held += text;
    let cut = -1;
    for (const stop of this.stops) {
      const at = this.held.indexOf(stop);
      if (at < 0 || (cut >= 0 && at >= cut)) continue;
      cut = at;
      this.found = stop;
    }
    if (cut >= 0) {
      const shown = this.held.slice(0, cut);
      this.held = '';
      return shown;
    }
    const shown = this.held.slice(0, this.held.length - this.possibleStart());
    this.held = this.held.slice(shown.length);
    return shown;
  }

  /** What was held back, when no more text comes. */
  flush(): string {
    const rest = this.held;
    this.held = '';
    return rest;
  }

  /** Length of the longest end of `held` that begins a stop string. */
  private possibleStart(): number {
    let longest = 0;
    for (const stop of this.stops) {
      for (let n = Math.min(stop.length - 1, this.held.length); n > longest; n--) {
        if (this.held.endsWith(stop.slice(0, n))) longest = n;
      }
    }
    return longest;
  }
}

import type { PageTable } from '../kernels/kernels.js';
import type { ModelState } from './state.js';

type Table = { -readonly [Key in keyof PageTable]: PageTable[Key] };

/** Tells kernels where the keys and values of a pass are, one block of attention after another. Allocates nothing after the first time. */
export class PageTables {
  private readonly tables: readonly Table[]; //           [pieces]
  private readonly tablesOf: (readonly Table[])[] = []; // [pieces] the first so many

  /** @param pages [pieces][pages of a sequence] in the kernels' memory. */
  constructor(pages: readonly Uint32Array[]) {
    this.tables = pages.map((each) => ({ pages: each, firstPage: 0, row: 0, tokens: 0, position: 0 }));
  }

  /** Of piece `piece`, whose tokens begin at `row`; `attention` counts the blocks of attention. */
  set(piece: number, { tokens: position, keysAndValues }: ModelState, attention: number, row: number, tokens: number): void {
    const table = this.tables[piece]!;
    const { first, numbers } = keysAndValues!.held[attention]!;
    table.row = row;
    table.tokens = tokens;
    table.position = position;
    table.firstPage = first;
    for (let k = 0; k < numbers.length; k++) table.pages[k] = numbers[k]!;
  }

  /** Of all pieces. */
  of(pieces: number): readonly PageTable[] {
    return (this.tablesOf[pieces] ??= this.tables.slice(0, pieces));
  }
}

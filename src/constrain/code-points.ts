/** Sets of characters: sorted, disjoint ranges of Unicode scalar values, [low, high, low, high, …], both ends included. */
export type CodeSet = readonly number[];

/** All scalar values: every code point but the surrogates, which have no UTF-8 form. */
export const ANY: CodeSet = [0, 0xd7ff, 0xe000, 0x10ffff];

/** The set of some ranges in any order, which may overlap; surrogates are left out. */
export function codeSet(ranges: readonly number[]): CodeSet {
  const pairs: [number, number][] = [];
  for (let i = 0; i < ranges.length; i += 2) pairs.push([ranges[i]!, ranges[i + 1]!]);
  pairs.sort((a, b) => a[0] - b[0]);
  const merged: number[] = [];
  for (const [low, high] of pairs) {
    const last = merged.length - 1;
    if (last > 0 && low <= merged[last]! + 1) merged[last] = Math.max(merged[last]!, high);
    else merged.push(low, high);
  }
  return intersect(merged, ANY);
}

/** The characters of a text. */
export function codesOf(text: string): CodeSet {
  return codeSet(Array.from(text, (char) => char.codePointAt(0)!).flatMap((code) => [code, code]));
}

export function intersect(a: CodeSet, b: CodeSet): CodeSet {
  const both: number[] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const low = Math.max(a[i]!, b[j]!);
    const high = Math.min(a[i + 1]!, b[j + 1]!);
    if (low <= high) both.push(low, high);
    if (a[i + 1]! < b[j + 1]!) i += 2;
    else j += 2;
  }
  return both;
}

export function complement(set: CodeSet): CodeSet {
  const gaps: number[] = [];
  let next = 0;
  for (let i = 0; i < set.length; i += 2) {
    if (set[i]! > next) gaps.push(next, set[i]! - 1);
    next = set[i + 1]! + 1;
  }
  if (next <= 0x10ffff) gaps.push(next, 0x10ffff);
  return intersect(gaps, ANY);
}

export function has(set: CodeSet, code: number): boolean {
  let low = 0;
  let high = set.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (set[2 * middle + 1]! < code) low = middle + 1;
    else high = middle;
  }
  return low < set.length / 2 && set[2 * low]! <= code;
}

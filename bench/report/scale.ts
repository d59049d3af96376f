/** Where a value lies on an axis. */
export interface Scale {
  readonly kind: 'linear' | 'log';
  readonly domain: readonly [number, number];
  (value: number): number;
}

/** Maps `domain`, of positive numbers if it is logarithmic, to `range`. */
export function createScale(kind: Scale['kind'], domain: readonly [number, number], range: readonly [number, number]): Scale {
  const measure = kind === 'log' ? Math.log : (value: number): number => value;
  const [low, high] = domain.map(measure);
  const place = (value: number): number => range[0] + ((measure(value) - low) / (high - low || 1)) * (range[1] - range[0]);
  return Object.assign(place, { kind, domain });
}

/** Round numbers from 0, or from about `low`, to at least `high`: 1, 2 or 5 times a power of ten apart, `count` or a few more of them. */
export function linearTicks(low: number, high: number, count = 5): number[] {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough * (1 - 1e-9))! * power;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, n) => Number(((first + n) * step).toPrecision(12)));
}

/** 1, 2 and 5 times powers of ten that enclose `low` to `high`; powers of ten alone (and not all of those) where these are too many. */
export function logTicks(low: number, high: number, most = 8): number[] {
  if (!(low > 0 && high >= low)) throw new RangeError(`no logarithmic axis goes from ${low} to ${high}`);
  const between = (factors: readonly number[], every: number): number[] => {
    const ticks: number[] = [];
    for (let power = Math.floor(Math.log10(low)) - every; power <= Math.log10(high) + every; power++) {
      if (power % every === 0) ticks.push(...factors.map((factor) => Number((factor * 10 ** power).toPrecision(12))));
    }
    const first = ticks.filter((tick) => tick <= low * (1 + 1e-9)).length - 1;
    const last = ticks.findIndex((tick) => tick >= high * (1 - 1e-9));
    return ticks.slice(first, last + 1);
  };
  for (const [factors, every] of [[[1, 2, 5], 1], [[1], 1], [[1], 2], [[1], 3]] as const) {
    const ticks = between(factors, every);
    if (ticks.length <= most) return ticks;
  }
  return [low, high];
}

/** Moves places apart that are nearer than `gap`, as little as it takes, in their order and inside `low` to `high`. */
export function spreadOut(places: readonly number[], gap: number, low: number, high: number): number[] {
  const order = places.map((_, n) => n).sort((a, b) => places[a] - places[b]);
  // Those that touch become one block, around the middle of what its members want.
  interface Block { members: number[]; wanted: number }
  const blocks: Block[] = [];
  const centreOf = ({ members, wanted }: Block): number => {
    const half = ((members.length - 1) * gap) / 2;
    return Math.min(Math.max(wanted / members.length, low + half), Math.max(high - half, low + half));
  };
  const half = ({ members }: Block): number => ((members.length - 1) * gap) / 2;
  for (const n of order) {
    let block: Block = { members: [n], wanted: places[n] };
    for (let before = blocks.at(-1); before && centreOf(before) + half(before) + gap > centreOf(block) - half(block) + 1e-9; before = blocks.at(-1)) {
      blocks.pop();
      block = { members: [...before.members, ...block.members], wanted: before.wanted + block.wanted };
    }
    blocks.push(block);
  }
  const moved = [...places];
  for (const block of blocks) block.members.forEach((n, at) => { moved[n] = centreOf(block) - half(block) + at * gap; });
  return moved;
}

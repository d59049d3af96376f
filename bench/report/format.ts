/* Numbers for people: three significant digits, and units that fit. */

const PREFIXES = [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']] as const;

/** Three significant digits, without zeros that say nothing: 0.0123, 1.5, 87.3, 1,234. */
export function short(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)) + 1e-12));
  const text = value.toFixed(Math.min(digits, 8));
  const [whole, part = ''] = text.split('.');
  const grouped = Number(whole) === 0 ? whole : whole.replace(/\B(?=(\d{3})+$)/g, ',');
  const rest = part.replace(/0+$/, '');
  return rest === '' ? grouped : `${grouped}.${rest}`;
}

function prefixed(value: number, unit: string): string {
  const [size, prefix] = PREFIXES.find(([least]) => Math.abs(value) >= least * 0.9995) ?? [1, ''];
  return `${short(value / size)} ${prefix}${unit}`.trimEnd();
}

/** A figure with its unit, as results give them. */
export function formatValue(value: number, unit: string): string {
  switch (unit) {
    case 'bytes': return prefixed(value, 'B');
    case 'bytes/s': return prefixed(value, 'B/s');
    case 'bytes/token': return prefixed(value, 'B');
    case 'MAC/s': return prefixed(value, 'MAC/s');
    case '1/s': return prefixed(value, 'op/s');
    case '1/token': return prefixed(value, '');
    case '': return short(value);
    default: return `${short(value)} ${unit}`;
  }
}

export const percent = (share: number): string => `${share < 0.0095 ? (100 * share).toFixed(1) : Math.round(100 * share)} %`;

/** For axes: 1k, 32k, 1M, 0.5. */
export function compact(value: number): string {
  const [size, prefix] = PREFIXES.find(([least]) => Math.abs(value) >= least) ?? [1, ''];
  return `${short(value / size)}${prefix}`;
}

/** Tokens of a context, by powers of two: 1, 1k, 4k, 32k. */
export function tokens(value: number): string {
  return value >= 1024 && value % 1024 === 0 ? `${value / 1024}k` : String(value);
}

/** For axes in bytes: 100 kB, 1 GB. */
export const byteTick = (value: number): string => prefixed(value, 'B');
/** "1 thread", "4 threads". */
export const countOf = (count: number, thing: string): string => `${count} ${thing}${count === 1 ? '' : 's'}`;

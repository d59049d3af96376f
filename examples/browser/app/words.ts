/** Numbers as people read them. */

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];

export function bytes(count: number): string {
  const power = count < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(count) / 3));
  return `${round(count / 1000 ** power, power === 0 ? 0 : 1)} ${UNITS[power]!}`;
}

export function count(number: number): string {
  if (number >= 1e9) return `${round(number / 1e9, 1)} billion`;
  if (number >= 1e6) return `${round(number / 1e6, 1)} million`;
  return round(number, 0);
}

/** @param probability from 0 to 1. */
export function percent(probability: number): string {
  if (probability > 0.9995) return '> 99.9 %';
  if (probability < 0.001) return '< 0.1 %';
  return `${round(probability * 100, probability < 0.1 || probability > 0.99 ? 1 : 0)} %`;
}

export function milliseconds(ms: number): string {
  return ms < 1 ? `${round(ms * 1000, 0)} µs` : `${round(ms, ms < 10 ? 1 : 0)} ms`;
}

export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${round(seconds / 3600, 1)} h`;
}

/** A token as it is shown alone, where spaces would not be seen. */
export function visible(text: string): string {
  return text.replace(/\n/g, '↵').replace(/\t/g, '⇥').trim() || '␣';
}

/**
 * With so many digits after the point, but no zeros at the end, and commas between thousands. Not `toLocaleString`: its first call takes
 * the main thread for longer than a frame.
 */
function round(number: number, digits: number): string {
  const [whole, fraction] = String(Number(number.toFixed(digits))).split('.') as [string, string?];
  return whole.replace(/\B(?=(\d{3})+$)/g, ',') + (fraction === undefined ? '' : `.${fraction}`);
}

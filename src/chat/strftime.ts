import { shorten } from '../errors.js';
import { MAX_TEXT, type Run } from './run.js';

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  'January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December',
];

function pad(value: number, width = 2): string {
  return String(value).padStart(width, '0');
}

function dayOfYear(date: Date): number {
  return Math.round((Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 1)) / 86_400_000) + 1;
}

const FIELDS: Record<string, (date: Date) => string> = {
  a: (date) => DAYS[date.getDay()]!.slice(0, 3),
  A: (date) => DAYS[date.getDay()]!,
  b: (date) => MONTHS[date.getMonth()]!.slice(0, 3),
  B: (date) => MONTHS[date.getMonth()]!,
  d: (date) => pad(date.getDate()),
  e: (date) => String(date.getDate()).padStart(2),
  H: (date) => pad(date.getHours()),
  I: (date) => pad(date.getHours() % 12 || 12),
  j: (date) => pad(dayOfYear(date), 3),
  m: (date) => pad(date.getMonth() + 1),
  M: (date) => pad(date.getMinutes()),
  p: (date) => (date.getHours() < 12 ? 'AM' : 'PM'),
  S: (date) => pad(date.getSeconds()),
  y: (date) => pad(date.getFullYear() % 100),
  Y: (date) => pad(date.getFullYear(), 4),
  F: (date) => `${FIELDS['Y']!(date)}-${FIELDS['m']!(date)}-${FIELDS['d']!(date)}`,
  T: (date) => `${FIELDS['H']!(date)}:${FIELDS['M']!(date)}:${FIELDS['S']!(date)}`,
  '%': () => '%',
};

/** A date as C's and Python's `strftime` write it in English; a hyphen (`%-d`) takes away a zero at the beginning. */
export function formatDate(run: Run, date: Date, format: string): string {
  run.spendCharacters(format.length * 16);
  if (format.length > MAX_TEXT / 16) return run.fail('strftime_now: the format is too long');
  return format.replace(/%(-?)([^]?)/g, (all, hyphen: string, field: string) => {
    const value = Object.hasOwn(FIELDS, field) ? FIELDS[field]!(date) : run.fail(`strftime_now: ${shorten(all)} is not supported`);
    return hyphen === '' ? value : value.replace(/^[0 ]+(?=\d)/, '');
  });
}

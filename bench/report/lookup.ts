import type { Report, Result } from '../results.js';
import type { Cell } from './figure.js';
import { formatValue, short } from './format.js';
import type { Ink } from './style.js';

/** Those that are compared, in the order in which they are shown. */
export const CONTESTANTS = [
  { name: 'ternary', ink: 'ternary' },
  { name: 'float MatMul-free', ink: 'float' },
  { name: 'Transformer++', ink: 'transformer' },
] as const satisfies readonly { readonly name: string; readonly ink: Ink }[];
export type ContestantName = (typeof CONTESTANTS)[number]['name'];

/** The results of a report, by what they are called. */
export interface Lookup {
  get(id: string): Result | undefined;
  /** Results whose id matches, with what the groups of the pattern found. */
  matching(pattern: RegExp): { readonly result: Result; readonly groups: readonly string[] }[];
  /** Distinct values of the first group, as numbers, in order. */
  numbers(pattern: RegExp): number[];
  /** Place of a result in the report's list. */
  indexOf(result: Result): number;
}

export function lookUp({ results }: Report): Lookup {
  const byId = new Map(results.map((result) => [result.id, result]));
  const places = new Map(results.map((result, n) => [result, n]));
  const matching: Lookup['matching'] = (pattern) => results.flatMap((result) => {
    const match = pattern.exec(result.id);
    return match ? [{ result, groups: match.slice(1) }] : [];
  });
  return {
    get: (id) => byId.get(id),
    matching,
    numbers: (pattern) => [...new Set(matching(pattern).map(({ groups: [first] }) => Number(first)))].sort((a, b) => a - b),
    indexOf: (result) => places.get(result) ?? -1,
  };
}

/** Sizes of models, with what they are called on axes. */
export const SIZES = [{ shape: '370M', parameters: 0.37e9 }, { shape: '1.3B', parameters: 1.3e9 }, { shape: '2.7B', parameters: 2.7e9 }] as const;

export const threadsOf = (threads: number): string => `${threads} ${threads === 1 ? 'thread' : 'threads'}`;
export const modelId = (shape: string, name: string, threads: number, what: string): string => `models/${shape}/${name}/${threadsOf(threads)}/${what}`;

/** A figure as it was measured. */
export function cell(result: Result | undefined): Cell {
  if (!result) return '–';
  const { median, range: [low, high], rounds, unit } = result;
  return { text: formatValue(median, unit), from: [result], ...(rounds > 1 ? { spread: spreadText(low, high, unit) } : {}) };
}

/** The same without its unit, which the caption tells. */
export function bareCell(result: Result | undefined): Cell {
  if (!result) return '–';
  const { median, range: [low, high], rounds } = result;
  return { text: short(median), from: [result], ...(rounds > 1 ? { spread: `${short(low)}–${short(high)}` } : {}) };
}

/** A figure computed from results. */
export function derived(text: string, from: readonly (Result | undefined)[], spread?: string): Cell {
  const found = from.filter((result) => result !== undefined);
  return { text, from: found, ...(spread === undefined ? {} : { spread }) };
}

function spreadText(low: number, high: number, unit: string): string {
  const [a, b] = [formatValue(low, unit), formatValue(high, unit)];
  const split = (text: string): string[] => [text.replace(/ .*$/, ''), text.replace(/^[^ ]* ?/, '')];
  const [[from, unitA], [to, unitB]] = [split(a), split(b)];
  return unitA === unitB ? `${from}–${to}` : `${a} – ${b}`;
}

/** Milliseconds of a token, of a speed in tokens/s. */
export const millisecondsOf = ({ median, range: [low, high] }: Result): { readonly y: number; readonly range: readonly [number, number] } =>
  ({ y: 1000 / median, range: [1000 / high, 1000 / low] });

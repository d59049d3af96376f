import type { Result } from '../results.js';
import type { Figure } from './figure.js';
import { formatValue, percent, short, tokens } from './format.js';
import { cell, CONTESTANTS, derived, SIZES, type Lookup } from './lookup.js';

/* Operations and energy of a token: a table. */

const ENERGY_NOTE = 'An estimate from figures for single operations, by M. Horowitz (ISSCC 2014, 45 nm): 0.1 pJ for an integer addition, 0.9 for a float addition, '
  + '3.7 for a float multiplication, 1.3 to 2.6 nJ for 64 bits from DRAM. Instructions, caches and what the chip takes at rest are left out; nothing was measured. Additions are those that the products take, one for each weight that is not zero: the library looks up sums of several instead. Bytes are taken to come from DRAM.';

function energyCells(lookup: Lookup, at: (what: string) => string) {
  const [arithmetic, least, most] = ['energy of arithmetic|estimate', 'energy of memory|estimate, least', 'energy of memory|estimate, most'].map((what) => lookup.get(at(what)));
  return [
    arithmetic ? derived(`${short(arithmetic.median)} mJ`, [arithmetic]) : '–',
    least && most ? derived(`${short(least.median)}–${short(most.median)} mJ`, [least, most]) : '–',
  ];
}

/** How much of the energy is memory's at the least, in a sentence. */
function memoryShares(energyOf: (name: string, what: string) => Result | undefined): string {
  const [ours, theirs] = ['ternary', 'Transformer++'].map((name) => {
    const [arithmetic, memory] = [energyOf(name, 'energy of arithmetic|estimate'), energyOf(name, 'energy of memory|estimate, least')];
    return arithmetic && memory ? memory.median / (memory.median + arithmetic.median) : undefined;
  });
  return ours === undefined || theirs === undefined ? '' : `By the estimate, memory takes at least ${percent(Math.min(ours, 0.99))} of the energy with ternary weights, ${percent(Math.min(theirs, 0.99))} with the transformer.`;
}

export function operationsOfToken(lookup: Lookup): Figure | undefined {
  const positions = [1, 32_768];
  const id = (shape: string, name: string, what: string, position: number): string => {
    const [start, kind] = what.split('|');
    return `models/${shape}/${name}/${start} at ${position}${kind === undefined ? '' : ` (${kind})`}`;
  };
  const at = (shape: string, name: string, what: string, position: number): Result | undefined => lookup.get(id(shape, name, what, position));
  const sizes = SIZES.filter(({ shape }) => at(shape, 'ternary', 'bytes read', 1));
  const [first] = sizes;
  if (!first) return undefined;
  const [ours, theirs] = ['ternary', 'Transformer++'].map((name) => at(first.shape, name, 'float multiplications', 1));
  const energyOf = (name: string, what: string): Result | undefined => at(first.shape, name, what, 1);
  return {
    id: 'operations', title: 'Operations, bytes and energy of a token', chart: undefined,
    says: ours && theirs
      ? `A decoded token of the ternary ${first.shape} model takes ${formatValue(ours.median, '1/token')} float multiplications (norms, gates, scales), one of the transformer ${formatValue(theirs.median, '1/token')}. ${memoryShares(energyOf)}`
      : '',
    table: {
      caption: 'For one decoded token, counted; energy is an estimate',
      columns: ['model, tokens before', 'integer additions', 'float additions', 'float multiplications', 'bytes read', 'energy of arithmetic (estimate)', 'energy of memory (estimate)'],
      rows: sizes.flatMap(({ shape }) => CONTESTANTS.flatMap(({ name }) => (name === 'Transformer++' ? positions : positions.slice(0, 1)).flatMap((position) => {
        if (!at(shape, name, 'bytes read', position)) return [];
        return [[
          `${shape} ${name}${name === 'Transformer++' ? `, ${tokens(position)}` : ', any'}`,
          ...['integer additions', 'float additions', 'float multiplications', 'bytes read'].map((what) => cell(at(shape, name, what, position))),
          ...energyCells(lookup, (what) => id(shape, name, what, position)),
        ]];
      }))),
    },
    note: ENERGY_NOTE,
  };
}

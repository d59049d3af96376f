import type { Report } from '../results.js';
import { operationsOfToken } from './cost-figures.js';
import type { Figure } from './figure.js';
import { lookUp, SIZES } from './lookup.js';
import { batchScaling, memoryByContext, memoryBySize, prefillTable, speedBySize, threadScaling, timeByContext } from './model-figures.js';
import { layers, residentMemory, roofline } from './part-figures.js';
import { kindsByContext, quality } from './quality-figures.js';
import { shapes } from './shape-figures.js';

/** All figures that a report has the data for, in the order in which they are shown. */
export function figuresOf(report: Report): Figure[] {
  const lookup = lookUp(report);
  const counts = lookup.numbers(/^models\/[^/]+\/ternary\/(\d+) threads?\/decode at 1$/);
  const most = counts.at(-1) ?? 1;
  const prompts = lookup.numbers(/^models\/370M\/ternary\/1 thread\/prefill (\d+)$/);
  const figures = [
    speedBySize(lookup, 1), most > 1 ? speedBySize(lookup, most) : undefined, memoryBySize(lookup),
    ...SIZES.map(({ shape }) => timeByContext(lookup, shape)), memoryByContext(lookup, '370M'), kindsByContext(lookup, '370M'), prefillTable(lookup), shapes(lookup),
    roofline(lookup),
    threadScaling(lookup, '370M', 'decode at 1', 'threads-decode', 'decoding'),
    ...prompts.map((prompt) => threadScaling(lookup, '370M', `prefill ${prompt}`, 'threads-prefill', 'prefill')),
    batchScaling(lookup, '370M'), layers(lookup, '370M'), residentMemory(lookup), operationsOfToken(lookup), quality(lookup),
  ];
  return figures.filter((figure) => figure !== undefined);
}

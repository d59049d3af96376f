import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { built } from '../support/build.js';
import { effort } from '../support/effort.js';
import type { EngineReport } from '../support/engine-report.js';

/*
 * The same bits in every engine: versions of Node, with AVX and without, in both tiers of V8: the baseline compiler, whose code runs
 * first, and the optimising one, whose code takes over. Of each backend that `auto` may take; none may be left out, either.
 */

const run = promisify(execFile);
const PATIENCE_MS = 240_000;
const HERE = { name: `Node ${process.versions.node}`, path: process.execPath };

interface Engine {
  readonly name: string;
  readonly path: string | undefined;
}

/** Another version of Node, by npx; without a path where it cannot be had. */
async function otherNode(version: number): Promise<Engine> {
  const name = `Node ${version}`;
  try {
    const { stdout } = await run('npx', ['-y', '-p', `node@${version}`, 'node', '-p', 'process.execPath'], { timeout: PATIENCE_MS });
    return { name, path: stdout.trim() };
  } catch {
    return { name: `${name} (skipped: npx cannot get it)`, path: undefined };
  }
}

const ENGINES: readonly Engine[] = await effort(async () => [HERE], () => Promise.all([20, 22, 24].map(otherNode)))();
const TIERS = ['--liftoff-only', '--no-liftoff'];
const FLAGS = effort([['--no-enable-avx', '--liftoff-only']], [...TIERS.map((tier) => [tier]), ...TIERS.map((tier) => ['--no-enable-avx', tier]), ['--no-enable-avx'], []]);

/** Node 22 does not know these instructions, nor a flag for them. */
const MORE_FLAGS = effort([], [['--no-enable-avx-vnni'], ...TIERS.map((tier) => ['--no-enable-avx-vnni', tier])]);

async function report(path: string, flags: readonly string[]): Promise<EngineReport> {
  const version = (await run(path, ['--version'])).stdout;
  const relaxed = version.startsWith('v20.') ? ['--experimental-wasm-relaxed-simd'] : []; // later ones have it without
  const { stdout } = await run(path, [...relaxed, ...flags, built('test/support/engine-report.ts')], { timeout: PATIENCE_MS });
  return JSON.parse(stdout) as EngineReport;
}

let here: EngineReport;
beforeAll(async () => {
  here = await report(HERE.path, []);
  expect(here.backends['scalar']).toBeDefined();
}, PATIENCE_MS);

describe.each(ENGINES)('$name', ({ name: engine, path }) => {
  const flagsHere = /^Node (20|22)/.test(engine) ? FLAGS : [...FLAGS, ...MORE_FLAGS];
  it.skipIf(path === undefined).each(flagsHere.map((flags) => ({ flags, name: flags.join(' ') || 'as it is' })))('$name computes the bits of the scalar backend, with all backends', { timeout: PATIENCE_MS }, async ({ flags }) => {
    const { logits, text } = here.backends['scalar']!;
    const { node, backends, order, missing, programs } = await report(path!, flags);
    console.log(node, ...flags, logits.slice(0, 16), text.slice(0, 16));
    // Node 20's baseline compiler gets dot products wrong (kernels.md §4), so that they are left out unless its code never runs.
    const hasDot = !node.startsWith('v20.') || flags.includes('--no-liftoff');
    expect(missing).toEqual(hasDot ? {} : { dot: "this engine's WebAssembly gives wrong results (in a test before use: ternaryRows)" });
    const names = ['scalar', 'simd', 'relaxed', ...(hasDot ? ['dot'] : [])];
    const best = order.at(-1);
    expect([...order].sort()).toEqual([...names].sort());
    expect(['relaxed', 'dot']).toContain(best); // dot products where they are one instruction
    expect(backends).toEqual({ ...Object.fromEntries(names.map((used) => [used, { used, logits, text }])), auto: { used: best, logits, text } });
    expect(programs).toBe(here.programs);
  });
});

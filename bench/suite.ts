/*
 * The benchmark suite: npm run bench. Ternary against float32: kernels, layers, whole models, memory, quality, and shapes of models that people use; as text, JSON, a page and
 * pictures (see README.md)
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseCommand } from '../src/cli/arguments.js';
import { compareReports, formatComparison, parseReport } from './compare.js';
import type { Listener } from './host.js';
import { describeMachine } from './machine.js';
import { complain, enableRelaxedSimd, wholeNumber } from './measure.js';
import { nodeHost } from './node-host.js';
import { fullPlan, quickPlan } from './plans.js';
import { sourceOf, standaloneSvg } from './report/figure.js';
import { figuresOf } from './report/figures.js';
import { lookUp } from './report/lookup.js';
import { fillTables, markdownOf } from './report/markdown.js';
import { reportPage } from './report/page.js';
import { verdicts } from './report/words.js';
import type { Report, Result } from './results.js';
import { measureMemory } from './suite-memory.js';
import type { OpenPeers } from './suite-shapes.js';
import { PARTS, runPlan, type Part } from './suite-run.js';

const HELP = `Usage: npm run bench -- [options]

Ternary MatMul-free models against float32 ones: the same architecture with multiplications, and a transformer of as many weights.
Takes a quarter of an hour and up to 20 GB of memory; what does not fit is left out, and said so. Leave the machine alone meanwhile.

Options:
  --quick              a minute and a half: one shape of kernels, the 370M model, that of Ternary Bonsai 1.7B, short texts
  --only NAME,…        parts to run: ${PARTS.join(', ')}
  --out FOLDER         writes report.json, report.html, and charts/*.svg to FOLDER
  --json FILE          writes all results to FILE
  --report FILE.html   writes a page with charts and tables, which needs nothing else
  --from FILE.json     measures nothing: --report, --tables and --out draw the results in FILE
  --tables A.md,B.md   writes the tables of the results into these files, where they have marks: <!-- bench: quality --> <!-- /bench -->
  --compare A B        compares two files of results instead: what changed beyond noise
  --browser            runs in a headless Chromium (in CHROMIUM, or where it usually is): kernels, the 370M model, quality, shapes
  --by-hand            with --browser: waits until you open a page in a browser of your own
  --peer FOLDER        where node-llama-cpp or onnxruntime-node is installed (npm install, by hand): they take turns on the shapes of models that people use
  --files FOLDER       where their files of models are written, and kept: some gigabytes (default: a folder for temporary files)
  --layers N           models of fewer layers, to try the suite out; figures of whole models mean nothing then

Also: npm run bench:kernels (all writings of kernels), bench:model (one model), bench:generate (batches and guesses).`;

const print: Listener = {
  result({ id, median, quartiles, rounds, unit }) {
    const spread = rounds === 1 ? '' : `  (${quartiles.map((value) => value.toPrecision(4)).join(' – ')})`;
    console.log(`${id.padEnd(84)} ${median.toPrecision(5).padStart(12)} ${unit}${spread}`);
  },
  note: (text) => console.log(`Note: ${text}`),
  failure(text) {
    console.error(text);
    process.exitCode = 1;
  },
};

/** Figures whose tables are told in the terminal too: one number alone says little there. */
const PRINTED = ['quality', 'kinds-by-context-370M', 'shapes'];

/** Other programs that take a core or more. */
const MUCH_LOAD = 0.75;

function readParts(text: string): readonly Part[] {
  return text.split(',').map((name) => {
    const part = PARTS.find((known) => known === name);
    if (part === undefined) throw new TypeError(`--only takes ${PARTS.join(', ')}, not "${name}"`);
    return part;
  });
}

function readOptions() {
  const args = process.argv.slice(2);
  return parseCommand(args, {
    peer: { type: 'string' }, files: { type: 'string', default: tmpdir() },
    quick: { type: 'boolean', default: false }, only: { type: 'string', default: PARTS.join() }, layers: { type: 'string' },
    out: { type: 'string' }, json: { type: 'string' }, report: { type: 'string' }, from: { type: 'string' }, tables: { type: 'string' },
    compare: { type: 'boolean', default: false }, browser: { type: 'boolean', default: false }, 'by-hand': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  }, args.includes('--compare'));
}
type Options = ReturnType<typeof readOptions>['values'];

async function measure(options: Options): Promise<Report> {
  const parts = readParts(options.only);
  const layers = options.layers === undefined ? undefined : wholeNumber('layers', options.layers);
  enableRelaxedSimd();
  const machine = describeMachine();
  const started = new Date();
  const results: Result[] = [];
  const notes: string[] = layers === undefined ? [] : [`models have ${layers} layers instead of all: their figures mean nothing`];
  const tell: Listener = {
    result(result) {
      results.push(result);
      print.result(result);
    },
    note(text) {
      notes.push(text);
      print.note(text);
    },
    failure(text) {
      notes.push(text);
      print.failure(text);
    },
  };
  if (machine.load.start > MUCH_LOAD) tell.note(`other programs were running at the start (load ${machine.load.start.toFixed(1)}): figures with several threads suffer most`);
  console.log(`${machine.engine}, ${machine.cpu}, ${machine.processors} processors, load ${machine.load.start.toFixed(1)}`);
  const { peer, files } = options;
  if (peer !== undefined && options.browser) throw new TypeError('--peer takes engines of Node: leave out --browser');
  const openPeers: OpenPeers | undefined = peer === undefined ? undefined
    : async (wanted, note) => (await import('./peers.js')).openPeers({ ...wanted, peers: peer, files }, note);
  const run = options.browser
    ? await (await import('./browser.js')).runInBrowser({ quick: options.quick, parts, layers, byHand: options['by-hand'] }, tell)
    : {
      engine: machine.engine,
      parts: await runPlan((options.quick ? quickPlan : fullPlan)(nodeHost.processors), nodeHost, tell, { parts, layers, measureMemory, openPeers }),
    };
  const [load] = loadavg();
  const seconds = (Date.now() - started.getTime()) / 1000;
  console.log(`${results.length} results in ${seconds.toFixed(0)} s (${Object.entries(run.parts).map(([name, time]) => `${name} ${time.toFixed(0)}`).join(', ')}), load ${load.toFixed(1)}`);
  return {
    format: 1, started: started.toISOString(), seconds, command: ['npm run bench --', ...process.argv.slice(2)].join(' '),
    machine: { ...machine, engine: run.engine, load: { start: machine.load.start, end: load } }, results, notes, parts: run.parts,
  };
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  console.log(`Written: ${file}`);
}

/** Fails now rather than after the run, if it cannot be written. */
function prepareFolders({ out, json, report: page }: Options): void {
  for (const folder of [out, json && dirname(json), page && dirname(page)]) if (folder !== undefined && folder !== '') mkdirSync(folder, { recursive: true });
}

function writeAll(report: Report, { out, json, report: page, from, tables }: Options): void {
  const text = `${JSON.stringify(report, undefined, 1)}\n`;
  if (json !== undefined) write(json, text);
  if (page !== undefined) write(page, reportPage(report));
  for (const file of tables?.split(',') ?? []) write(file, fillTables(readFileSync(file, 'utf8'), figuresOf(report)));
  if (out === undefined) return;
  if (from === undefined) write(join(out, 'report.json'), text);
  write(join(out, 'report.html'), reportPage(report));
  for (const { id, title, chart } of figuresOf(report)) {
    if (chart) write(join(out, 'charts', `${id}.svg`), standaloneSvg({ id, title, chart }, sourceOf(report)));
  }
}

async function main(): Promise<void> {
  const { values, positionals } = readOptions();
  if (values.help) return console.log(HELP);
  const read = (file: string): Report => parseReport(file, readFileSync(file, 'utf8'));
  if (values.compare) {
    if (positionals.length !== 2) throw new TypeError('--compare takes two files');
    return console.log(formatComparison(compareReports(read(positionals[0]), read(positionals[1]))));
  }
  if (values.from !== undefined && (values.out ?? values.report ?? values.tables) === undefined) throw new TypeError('--from draws: it takes --report, --tables or --out');
  prepareFolders(values);
  const report = values.from === undefined ? await measure(values) : read(values.from);
  for (const { claim, verdict, why } of verdicts(lookUp(report))) console.log(`\n${claim} ${verdict[0].toUpperCase()}${verdict.slice(1)}.\n${why.join('\n')}`);
  for (const figure of figuresOf(report)) if (PRINTED.includes(figure.id)) console.log(`\n${figure.title}\n${markdownOf(figure)}`);
  writeAll(report, values);
}

await main().catch(complain);

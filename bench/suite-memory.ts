import { spawn } from 'node:child_process';
import { mkdtemp, rm, stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BackendName } from 'matmulfree';
import { transformerOf } from './baselines/random-transformer.js';
import type { ContestantName } from './contestants.js';
import type { Host, Listener } from './host.js';
import type { MemoryFindings, MemoryTask } from './memory-child.js';
import { writeTernaryFile, writeTransformerFiles } from './model-files.js';
import { floatWeightBytes, keyValueBytes } from './operations.js';
import { sizesOf, type ShapeName } from './random-model.js';
import { counted, ONCE_NOISE } from './results.js';

export interface MemorySettings {
  readonly shape: ShapeName;
  readonly layers?: number | undefined;
  readonly backend: Exclude<BackendName, 'scalar'>;
  readonly names: readonly ContestantName[];
  /** Whether models are loaded from files, written beforehand to a folder for temporary files; else they are made in memory. */
  readonly fromFiles: boolean;
  /** Tokens of the text that they have read at the end. */
  readonly position: number;
}

/** What may differ between two runs: allocators, and the moment of a garbage collection. */
const NOISE_BYTES = 0.2;
/** An engine's own memory differs by 20 MB from process to process. */
const ENGINE_NOISE_BYTES = 0.5;
const SPARE_BYTES = 2e9;

/** Memory that is resident, and the time of loading: each model in a process of its own. Node only. */
export async function measureMemory(settings: MemorySettings, host: Host, tell: Listener): Promise<void> {
  host.collectGarbage();
  const { shape, layers, names, fromFiles } = settings;
  if (!fromFiles) {
    for (const name of names) await measureOne(settings, name, undefined, host, tell);
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), 'matmulfree-bench-'));
  try {
    const { bavail, bsize } = await statfs(folder);
    if (bavail * bsize < 2 * floatWeightBytes(sizesOf(shape, layers))) return tell.note(`${shape}: not loaded from files for lack of room in ${tmpdir()}`);
    const ternary = await writeTernaryFile(folder, shape, layers);
    const transformer = names.includes('Transformer++') ? await writeTransformerFiles(folder, transformerOf(shape, layers)) : ternary;
    for (const name of names) await measureOne(settings, name, name === 'Transformer++' ? transformer : ternary, host, tell);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureOne(settings: MemorySettings, name: ContestantName, file: string | undefined, host: Host, tell: Listener): Promise<void> {
  const { shape, layers, backend, position } = settings;
  const sizes = sizesOf(shape, layers);
  const needed = name === 'ternary' ? floatWeightBytes(sizes) / 8 : floatWeightBytes(sizes) + (name === 'Transformer++' ? keyValueBytes(sizes, position) : 0);
  if (needed + SPARE_BYTES > host.freeBytes()) return tell.note(`${shape} ${name} with ${position} tokens: resident memory not measured, as it does not fit`);
  let findings: MemoryFindings;
  try {
    findings = await runChild({ name, shape, layers, backend, file, position });
  } catch (error) {
    return tell.failure(error instanceof Error ? error.message : String(error)); // such as a system that is out of memory after all
  }
  const { before, seconds, loaded, peakOfLoading, withText } = findings;
  const bytes = (what: string, value: number, noise = NOISE_BYTES): void => tell.result(counted(`memory/${shape}/${name}/${what}`, 'bytes', value, 'lower', noise));
  bytes('resident without a model', before, ENGINE_NOISE_BYTES);
  bytes('resident', loaded);
  bytes(`resident with ${position} tokens`, withText);
  if (file === undefined) return;
  bytes('peak of loading', peakOfLoading);
  bytes('file', await fileBytes(file));
  tell.result(counted(`memory/${shape}/${name}/seconds to load`, 's', seconds, 'lower', ONCE_NOISE));
}

async function fileBytes(file: string): Promise<number> {
  const place = file.endsWith('.gguf') ? file : join(file, 'model.safetensors');
  return (await stat(place)).size;
}

async function runChild(task: MemoryTask): Promise<MemoryFindings> {
  const program = fileURLToPath(new URL('memory-child.ts', import.meta.url));
  const child = spawn(process.execPath, [...process.execArgv, program, JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text; });
  const code = await new Promise((resolve, reject) => child.once('close', resolve).once('error', reject));
  if (code !== 0) throw new Error(`the process that measures the memory of ${task.shape} ${task.name} has ended with code ${String(code)}`);
  return JSON.parse(output) as MemoryFindings;
}

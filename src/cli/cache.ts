import { clearCache, listCache, type CacheEntry } from '../index.js';
import { parseCommand, UsageError } from './arguments.js';
import type { Io } from './io.js';
import { formatBytes, onOneLine, plural } from './terminal.js';
import { HELP } from './usage.js';

export async function cacheCommand(args: readonly string[], io: Io): Promise<void> {
  const { values, positionals } = parseCommand(args, {
    json: { type: 'boolean' },
    quiet: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  }, true);
  if (values.help) return void io.stdout.write(`${HELP.cache}\n`);
  const [action, ...names] = positionals;
  if (action === 'list' && names.length === 0) return list(values.json === true, io);
  if (action === 'clear') return clear(names, values.quiet === true, io);
  throw new UsageError(action === 'list' ? 'cache list takes no names' : 'cache takes list or clear');
}

async function list(asJson: boolean, io: Io): Promise<void> {
  const entries = await listCache();
  if (asJson) return void io.stdout.write(`${JSON.stringify(entries, null, 2)}\n`);
  for (const entry of entries) io.stdout.write(`${describe(entry)}\n`);
  io.stdout.write(`${formatBytes(sizeOf(entries)).padStart(7)}  in all\n`);
}

async function clear(names: readonly string[], quiet: boolean, io: Io): Promise<void> {
  const entries = await listCache();
  const unknown = names.find((name) => !entries.some((entry) => entry.name === name));
  if (unknown !== undefined) throw new UsageError(`the cache holds no "${unknown}"`);
  const removed: CacheEntry[] = [];
  for (const name of names.length > 0 ? new Set(names) : [undefined]) removed.push(...(await clearCache({ name })));
  if (quiet) return;
  for (const { name, inUse } of entries) {
    if (inUse && (names.length === 0 || names.includes(name))) io.stderr.write(`${onOneLine(name)}: kept, it is being downloaded just now\n`);
  }
  io.stderr.write(`removed ${plural(removed.length, 'model')}, ${formatBytes(sizeOf(removed))}\n`);
}

function describe({ name, bytes, partialBytes, versions, inUse }: CacheEntry): string {
  const notes = [
    ...(versions.length > 1 ? [plural(versions.length, 'version')] : []),
    ...(partialBytes > 0 ? [`${formatBytes(partialBytes)} of it not complete`] : []),
    ...(inUse ? ['being downloaded'] : []),
  ];
  return `${formatBytes(bytes + partialBytes).padStart(7)}  ${onOneLine(name)}${notes.length > 0 ? ` (${notes.join(', ')})` : ''}`;
}

function sizeOf(entries: readonly CacheEntry[]): number {
  return entries.reduce((sum, { bytes, partialBytes }) => sum + bytes + partialBytes, 0);
}

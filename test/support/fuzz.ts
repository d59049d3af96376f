import { expect, it } from 'vitest';
import { MatMulFreeError } from 'matmulfree';
import { cpuMs } from './cpu.js';
import { FULL, tries } from './effort.js';
import { freshSeed, randomFrom } from './random.js';

/*
 * Fuzzing without a dependency: an input is made from its seed, by spoiling a good one byte by byte or in its structure, and is
 * used; that ends well or in one of our errors, soon and in little memory.
 */

export type Random = ReturnType<typeof randomFrom>;

/** What one kind of input is made of and used for. */
export interface Fuzzed<T> {
  /** For the name of the test. */
  readonly kind: string;
  /** How many are tried in `npm test`; `npm run test:full` tries ten times as many (effort.ts). */
  readonly inputs: number;
  readonly make: (random: Random, n: number) => T;
  /** Bytes of an input. */
  readonly size: (input: T) => number;
  /** Resolves, or rejects with one of our errors. */
  readonly use: (input: T, n: number) => Promise<unknown>;
  /** Different endings there are at least: else what is tried is too tame. */
  readonly endings: number;
}

/** One may take this long, once of several times that it is tried: the machine does other things too. */
const MAX_MS = 1000;
/** What one may allocate, likewise: for every byte of it, and beside that. */
const BYTES_PER_BYTE = 32;
const FREE_BYTES = 16 * 2 ** 20;
/** Longest message. It quotes what is wrong, shortened. */
const MAX_MESSAGE = 700;

/** Declares the test of a kind of input. */
export function fuzz<T>({ kind, inputs, make, size, use, endings }: Fuzzed<T>): void {
  const count = tries(inputs);
  const first = freshSeed();
  it(`${kind} end well or in one of our errors, soon and in little memory (${count} of them, SEED=${first})`, async () => {
    const seen = new Map<string, number>();
    let [mostBytes, mostMs] = [0, 0];
    for (let n = 0; n < count; n++) {
      // The runner wants to hear from us.
      if (n % 1000 === 999) await new Promise((resolve) => setImmediate(resolve));
      const seed = first + n;
      const input = make(randomFrom(seed), n);
      const limit = size(input) * BYTES_PER_BYTE + FREE_BYTES;
      let run = await measure(() => use(input, n));
      for (let again = 0; again < 4 && (run.ms > MAX_MS || run.bytes > limit); again++) run = await measure(() => use(input, n));
      const { ms, bytes, error } = run;
      const where = `${kind}, SEED=${seed}`;
      if (ms > MAX_MS) expect.fail(`${where}: takes ${ms.toFixed(0)} ms`);
      if (bytes > limit) expect.fail(`${where}: ${size(input)} bytes allocate ${bytes}`);
      [mostBytes, mostMs] = [Math.max(mostBytes, bytes), Math.max(mostMs, ms)];
      const ending = error === undefined ? 'well' : endingOf(where, error);
      seen.set(ending, (seen.get(ending) ?? 0) + 1);
    }
    if (FULL || process.env['FUZZ']) console.log(`${kind}: ${count} inputs, ${seen.size} endings, ${seen.get('well')} well; at most ${mostMs.toFixed(0)} ms, ${mostBytes} bytes`);
    if (process.env['FUZZ_SHOW']) console.log([...seen].sort((a, b) => b[1] - a[1]).map(([ending, times]) => `${times} ${ending}`).join('\n'));
    if (count < inputs) return; // one is tried again by its seed
    // Some changes do no harm, and the others are not all caught in one place.
    expect(seen.get('well') ?? 0).toBeGreaterThan(count / 100);
    expect(seen.size).toBeGreaterThanOrEqual(endings);
  }, 60_000 + count * 20);
}

/** An error's message without what belongs to one input only. */
function endingOf(where: string, error: unknown): string {
  if (!(error instanceof MatMulFreeError)) throw new Error(`${where}: ${error instanceof Error ? error.stack?.slice(0, 2000) : String(error)}`);
  const { name, message } = error;
  if (message.length > MAX_MESSAGE || /[\p{Cc}\p{Zl}\p{Zp}]/u.test(message)) throw new Error(`${where}: not a message for people, ${message.length} characters: ${JSON.stringify(message.slice(0, 2000))}`);
  return `${name}: ${message.replace(/"(?:[^"\\]|\\.)*"|\[[^\]]*\]|-?\d[\d.e+]*/g, '')}`.slice(0, 80);
}

async function measure(use: () => Promise<unknown>): Promise<{ ms: number; bytes: number; error: unknown }> {
  const before = process.memoryUsage();
  const began = cpuMs();
  const error = await use().then(() => undefined, (reason: unknown) => reason ?? new Error('rejected with nothing'));
  const ms = cpuMs() - began;
  const after = process.memoryUsage();
  // All that was allocated since, unless it was collected meanwhile: over thousands of inputs it shows.
  return { ms, bytes: after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers, error };
}

export function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.integer(0, list.length - 1)]!;
}

/** Numbers at which readers of binary formats go wrong. */
const EDGES = [0, 1, 2, 3, 8, 9, 31, 32, 64, 0x7f, 0x80, 0xff, 1000, 0x7fff, 0xffff, 2 ** 16, 2 ** 20, 2 ** 22, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1, 2 ** 40, 2 ** 53 - 1, 2 ** 53, 2 ** 63];

/**
 * A copy of `bytes` with a few changes: bits, bytes, whole numbers, stretches left out, repeated, moved, or taken from `other`, an
 * early end.
 * @param head where the interesting part ends: most changes are made before it.
 */
export function mutate(bytes: Uint8Array, random: Random, { head = bytes.length, other = bytes }: { head?: number; other?: Uint8Array } = {}): Uint8Array<ArrayBuffer> {
  let result = Uint8Array.from(bytes);
  for (let changes = random.integer(1, random.unit() < 0.2 ? 12 : 3); changes > 0; changes--) result = change(result, random, head, other);
  return result;
}

function change(bytes: Uint8Array<ArrayBuffer>, random: Random, head: number, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const size = bytes.length;
  const place = (): number => random.integer(0, Math.max(0, (random.unit() < 0.85 ? Math.min(head, size) : size) - 1));
  const at = place();
  const length = Math.min(size - at, random.integer(0, random.unit() < 0.7 ? 16 : 512));
  switch (random.integer(0, 9)) {
    case 0: bytes[at]! ^= 1 << random.integer(0, 7); return bytes;
    case 1: bytes[at] = random.integer(0, 255); return bytes;
    case 2: bytes[at] = random.integer(0, 13); return bytes;
    case 3: {
      const value = pick(random, EDGES);
      const width = 2 ** random.integer(0, 3);
      for (let i = 0; i < width && at + i < size; i++) bytes[at + i] = Math.floor(value / 2 ** (8 * i)) % 256;
      return bytes;
    }
    case 4: // a number a little larger or smaller
      bytes[at] = (bytes[at] ?? 0) + (random.unit() < 0.5 ? 1 : 255) * random.integer(1, 3);
      return bytes;
    case 5: return join(bytes.subarray(0, at), bytes.subarray(at + length)); // left out
    case 6: return join(bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at)); // repeated
    case 7: bytes.copyWithin(place(), at, at + length); return bytes; // over something else
    case 8: {
      const from = random.integer(0, Math.max(0, other.length - 1));
      return join(bytes.subarray(0, at), other.subarray(from, from + length), bytes.subarray(at + (random.unit() < 0.5 ? length : 0)));
    }
    default: return random.unit() < 0.2 ? bytes.slice(0, at) : join(bytes.subarray(0, at), Uint8Array.from({ length }, () => random.integer(0, 255)), bytes.subarray(at));
  }
}

function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.concat(parts));
}

/** Names that mean more than they should. */
export const ODD_NAMES = [
  '__proto__', 'constructor', 'toString', 'hasOwnProperty', 'length', '', '0', '-1', '4294967295', 'a'.repeat(3000), '\0', '\n', '\u202e', '\ud800', '../x', '/etc/passwd', '..\\x',
  'C:\\x', '\\\\host\\share', 'con', 'NUL.json', 'model.safetensors', '.', '..', 'x ', 'x.',
];

/** JSON text of what no key expects. */
const ODD_VALUES: readonly string[] = [
  'null', 'true', 'false', '0', '-0', '1', '-1', '2', '0.5', '1e308', '1e999', '-1e999', '4294967295', '4294967296', '9007199254740991', '9007199254740993', '1e20', '16777216', '65537',
  '[]', '{}', '[[]]', '[null]', '{"":{}}', '{"__proto__":{"type":"BPE","polluted":1}}', `${'['.repeat(2000)}${']'.repeat(2000)}`, `${'{"a":'.repeat(500)}1${'}'.repeat(500)}`,
  `[${'0,'.repeat(3000)}0]`, `[${'{},'.repeat(1000)}{}]`, JSON.stringify('x'.repeat(5000)), JSON.stringify('\u0301'.repeat(2000)), ...ODD_NAMES.map((name) => JSON.stringify(name)),
];

/** A JSON value as its text is written: keys may stand twice, or be called __proto__. */
type Node = { text: string } | { list: Node[] } | { entries: [string, Node][] };

function parse(value: unknown): Node {
  if (Array.isArray(value)) return { list: value.map(parse) };
  if (typeof value === 'object' && value !== null) return { entries: Object.entries(value).map(([key, item]) => [key, parse(item)]) };
  return { text: JSON.stringify(value) };
}

function write(node: Node): string {
  if ('text' in node) return node.text;
  if ('list' in node) return `[${node.list.map(write).join(',')}]`;
  return `{${node.entries.map(([key, item]) => `${JSON.stringify(key)}:${write(item)}`).join(',')}}`;
}

/** All nodes below, with what puts another in their place. */
function places(node: Node, found: { node: Node; set: (other: Node) => void }[] = []): typeof found {
  if ('list' in node) node.list.forEach((item, i) => { found.push({ node: item, set: (other) => { node.list[i] = other; } }); places(item, found); });
  else if ('entries' in node) node.entries.forEach((entry) => { found.push({ node: entry[1], set: (other) => { entry[1] = other; } }); places(entry[1], found); });
  return found;
}

/**
 * The text of a JSON value with a few changes to its structure: keys and entries removed, repeated, renamed, exchanged, values of
 * another kind or from another place. One in six is then spoilt as bytes.
 * @param spare values that stand in now and then, such as other components.
 */
export function mutateJson(value: unknown, random: Random, spare: readonly unknown[] = []): Uint8Array<ArrayBuffer> {
  const root = parse(value);
  for (let changes = random.integer(1, random.unit() < 0.2 ? 6 : 2); changes > 0; changes--) {
    const all = places(root);
    if (all.length === 0) break;
    const { node, set } = pick(random, all);
    const odd = (): Node => (spare.length > 0 && random.unit() < 0.4 ? parse(pick(random, spare)) : { text: pick(random, ODD_VALUES) });
    switch (random.integer(0, 7)) {
      case 0: case 1: set(odd()); break;
      case 2: set(structuredClone(pick(random, all).node)); break;
      case 3: set({ list: [node] }); break;
      case 4: spoilText(node, random); break;
      default: spoilInside('text' in node ? root : node, random, odd);
    }
  }
  const bytes = new TextEncoder().encode(write(root));
  return random.unit() < 1 / 6 ? mutate(bytes, random) : bytes;
}

/** A number or text that is a little different. */
function spoilText(node: Node, random: Random): void {
  if (!('text' in node)) return;
  const value: unknown = JSON.parse(/^-?1e999$/.test(node.text) ? '0' : node.text);
  if (typeof value === 'number') node.text = String(pick(random, [value + 1, value - 1, value * 2, value / 2, -value, value + 2 ** 32, value * 1e15]));
  if (typeof value === 'string') {
    const spoilt = new TextDecoder().decode(mutate(new TextEncoder().encode(value), random));
    node.text = JSON.stringify(pick(random, [spoilt, value + value, value.slice(1), value.repeat(random.integer(1, 300)).slice(0, 20_000), value.toUpperCase()]));
  }
}

function spoilInside(node: Node, random: Random, odd: () => Node): void {
  const items: unknown[] = 'list' in node ? node.list : 'entries' in node ? node.entries : [];
  const at = random.integer(0, Math.max(0, items.length - 1));
  const copy = items.length > 0 ? structuredClone(items[at]) : undefined;
  switch (random.integer(0, 4)) {
    case 0: items.splice(at, random.integer(1, 3)); return;
    case 1: if (copy !== undefined) items.splice(random.integer(0, items.length), 0, ...Array.from({ length: random.unit() < 0.9 ? 1 : 300 }, () => structuredClone(copy))); return;
    case 2: items.sort(() => random.unit() - 0.5); return;
    case 3:
      if ('entries' in node && items.length > 0) node.entries[at]![0] = random.unit() < 0.5 ? pick(random, ODD_NAMES) : pick(random, node.entries)[0];
      return;
    default:
      if ('entries' in node) node.entries.push([pick(random, ODD_NAMES), odd()]);
      else if ('list' in node) node.list.push(odd());
  }
}

/** Keys called `__proto__` and the like must have done nothing. */
export function expectNoPollution(): void {
  const plain = {} as Record<string, unknown>;
  expect([plain['polluted'], plain['type'], Object.keys(Object.prototype), Object.keys(Array.prototype), typeof plain['toString']]).toEqual([undefined, undefined, [], [], 'function']);
}

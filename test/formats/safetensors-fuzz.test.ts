import { beforeAll, it } from 'vitest';
import { convertToSafetensors, inspect, MatMulFreeLM, readSafetensorsHeader, readTensor, sourceFromContent } from 'matmulfree';
import { assemble, configJson, json, randomTensors, safetensors, TINY, tinyCheckpoint, type Files, type HeaderEntry, type TinyConfig } from '../support/checkpoints.js';
import { expectNoPollution, fuzz, mutate, mutateJson, ODD_NAMES, pick, type Random } from '../support/fuzz.js';

const SMALL: TinyConfig = { hidden: 2, intermediate: 2, layers: 1, vocab: 2, lowerBounds: true };
const TENSORS = randomTensors(SMALL, 1);
const WHOLE = safetensors(TENSORS);
const HEADER_BYTES = new DataView(WHOLE.buffer).getUint32(0, true);
const HEADER = JSON.parse(new TextDecoder().decode(WHOLE.subarray(8, 8 + HEADER_BYTES))) as Record<string, HeaderEntry>;
const DATA = WHOLE.subarray(8 + HEADER_BYTES);
const CONFIG = tinyCheckpoint(SMALL)['config.json']!;

/** Spoilt bytes, a header of another structure, or a layout in which one thing is wrong. */
function hostile(random: Random): Uint8Array {
  switch (random.integer(0, 3)) {
    case 0: return mutate(WHOLE, random, { head: 8 + HEADER_BYTES });
    case 1: return assemble(new TextDecoder().decode(mutateJson(HEADER, random)), DATA, random.unit() < 0.1 ? random.integer(0, 5000) : undefined);
    default: return lying(random);
  }
}

function lying(random: Random): Uint8Array {
  const header = structuredClone(HEADER) as Record<string, HeaderEntry & Record<string, unknown>>;
  let data = DATA;
  for (let changes = random.integer(1, 2); changes > 0; changes--) {
    const name = pick(random, Object.keys(header));
    const entry = header[name]!;
    const number = pick(random, [0, 1, 2, 3, 4, 8, 16, -1, 1.5, 2 ** 31, 2 ** 32, 2 ** 53, 1e308]);
    const dtypes = ['F64', 'F32', 'F16', 'BF16', 'I64', 'BOOL', 'F8_E4M3', 'toString', '__proto__'];
    switch (random.integer(0, 6)) {
      case 0: entry.dtype = pick(random, dtypes); break;
      case 1: entry.shape = Array.from({ length: random.unit() < 0.9 ? random.integer(0, 5) : 5000 }, () => (random.unit() < 0.8 ? random.integer(0, 4) : number)); break;
      case 2: entry.data_offsets = [random.integer(0, DATA.length), random.unit() < 0.5 ? DATA.length : number]; break;
      case 3: delete header[name]; break;
      case 4: Object.defineProperty(header, pick(random, ODD_NAMES), { value: entry, enumerable: true, configurable: true, writable: true }); break;
      case 5: data = data.subarray(0, random.integer(0, DATA.length)); break;
      default: { // half the bytes: a shape or a type that fits
        const [begin] = entry.data_offsets;
        entry.shape = pick(random, [[2], [1, 2], [0], [0, 2 ** 40], []]);
        entry.data_offsets = [begin, begin + entry.shape.reduce((a, b) => a * b, 4)];
      }
    }
    if (Object.keys(header).length === 0) break;
  }
  return assemble(JSON.stringify(header), data);
}

fuzz<Uint8Array>({
  kind: 'safetensors files', inputs: 4000, endings: 30, size: ({ length }) => length, make: hostile,
  async use(file, n) {
    if (n % 10 === 0) await MatMulFreeLM.load({ 'config.json': CONFIG, 'model.safetensors': file }, { backend: 'scalar' });
    const source = sourceFromContent('m.safetensors', file);
    let made = 0;
    for (const [name, entry] of await readSafetensorsHeader(source)) made += (await readTensor(name, { ...entry, source })).length;
    if (made > file.length) throw new Error(`${made} bytes of tensors come from ${file.length}`);
  },
});

const NAMES = Object.keys(TENSORS);
const SHARDS = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
const shardOf = (name: string): string => SHARDS[NAMES.indexOf(name) % 2]!;
const shard = (file: string): Uint8Array => safetensors(Object.fromEntries(Object.entries(TENSORS).filter(([name]) => shardOf(name) === file)));
const FOLDER: Files = { 'config.json': CONFIG, [SHARDS[0]!]: shard(SHARDS[0]!), [SHARDS[1]!]: shard(SHARDS[1]!) };
const INDEX = { metadata: { total_size: DATA.length }, weight_map: Object.fromEntries(NAMES.map((name) => [name, shardOf(name)])) };

fuzz<Uint8Array>({
  kind: 'model.safetensors.index.json files', inputs: 2000, endings: 15, size: ({ length }) => length + 2 * WHOLE.length,
  make: (random) => (random.unit() < 0.2 ? mutate(json(INDEX), random) : mutateJson(INDEX, random, [...SHARDS, 'config.json', 'model.safetensors.index.json', 'MODEL-00001-OF-00002.SAFETENSORS'])),
  async use(index, n) {
    const files = { ...FOLDER, 'model.safetensors.index.json': index };
    await inspect(files);
    if (n % 4 === 0) await MatMulFreeLM.load(files, { backend: 'scalar' });
  },
});

/** A packed model, as convert writes it. */
const PACKED: Record<string, Uint8Array> = {};
beforeAll(async () => {
  const parts: Record<string, Uint8Array[]> = {};
  const source = { 'config.json': json(configJson(TINY)), 'model.safetensors': safetensors(randomTensors(TINY, 1)) };
  for await (const { file, bytes } of convertToSafetensors(source)) (parts[file] ??= []).push(bytes);
  for (const [file, bytes] of Object.entries(parts)) PACKED[file] = new Uint8Array(Buffer.concat(bytes));
});

fuzz<Files>({
  kind: 'packed models', inputs: 1000, endings: 25, size: (files) => Object.values(files).reduce((sum, { length }) => sum + length, 0),
  make(random) {
    const weights = PACKED['model.safetensors']!;
    const config = JSON.parse(new TextDecoder().decode(PACKED['config.json'])) as Record<string, unknown>;
    if (random.unit() < 0.3) {
      const spoilt = mutateJson(config['quantization_config'], random, ['bitlinear', 'online', 'gptq']);
      return { ...PACKED, 'config.json': json(JSON.stringify({ ...config, quantization_config: 0 }).replace('"quantization_config":0', `"quantization_config":${new TextDecoder().decode(spoilt)}`)) };
    }
    const headerBytes = new DataView(weights.buffer).getUint32(0, true);
    if (random.unit() < 0.5) return { ...PACKED, 'model.safetensors': mutate(weights, random, { head: 8 + headerBytes }) };
    const header = JSON.parse(new TextDecoder().decode(weights.subarray(8, 8 + headerBytes))) as unknown;
    return { ...PACKED, 'model.safetensors': assemble(new TextDecoder().decode(mutateJson(header, random, ['U8', 'BF16'])), weights.subarray(8 + headerBytes)) };
  },
  async use(files, n) {
    await inspect(files);
    if (n % 2 === 0) await MatMulFreeLM.load(files, { backend: 'scalar' });
    else for await (const _ of convertToSafetensors(files)) void _;
  },
});

it('keys of the prototype did nothing', expectNoPollution);

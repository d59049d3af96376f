import { MatMulFreeLM, readTensor, readTorchTensors, sourceFromContent, type ByteSource } from 'matmulfree';
import { configJson, json, randomTensors } from '../support/checkpoints.js';
import { fuzz, mutate, pick, type Random } from '../support/fuzz.js';
import { torchFile, torchFromFloats, torchPickle, type TorchOptions, type TorchStorage, type TorchTensor, type ZipFields, type ZipInput } from '../support/torch-file.js';

const TINY = { hidden: 2, intermediate: 2, layers: 1, vocab: 2, lowerBounds: true };
const CONFIG = json(configJson(TINY));

const storages: Record<string, TorchStorage> = {
  0: { type: 'FloatStorage', bytes: new Uint8Array(Float32Array.from({ length: 40 }, (_, i) => i).buffer) },
  1: { type: 'HalfStorage', bytes: new Uint8Array(16) },
  key: { type: 'LongStorage', bytes: new Uint8Array(16) },
};
const tensors: Record<string, TorchTensor> = {
  'a.weight': { storage: '0', shape: [4, 5], parameter: true },
  'a.tied': { storage: '0', shape: [5, 4], strides: [1, 5] },
  part: { storage: '0', shape: [2, 3], offset: 7, strides: [10, 2] },
  half: { storage: '1', shape: [8] },
  ids: { storage: 'key', shape: [] },
};
const LAYOUTS: TorchOptions[] = [
  {}, { root: 'OrderedDict', top: 'archive' }, { zip: { zip64: 'none', align: 1 } }, { zip: { zip64: 'entries', descriptors: false, align: 8 } },
];
const WHOLE = [...LAYOUTS.map((layout) => torchFile(tensors, storages, layout)), torchFromFloats(randomTensors(TINY, 1))];
const PICKLES = [torchPickle(tensors, storages), torchPickle(tensors, storages, 'OrderedDict')];

/** Random opcodes with arguments that make sense now and then. */
function randomPickle(random: Random): Uint8Array<ArrayBuffer> {
  const bytes = [0x80, 2];
  const text = (value: string): number[] => [...new TextEncoder().encode(value)];
  for (let steps = random.integer(1, 60); steps > 0; steps--) {
    const op = random.integer(0, 255);
    const known = pick(random, [...'()NQRbstu}hqcXKM.'].map((c) => c.charCodeAt(0)).concat(0x85, 0x86, 0x87, 0x88, 0x8a, op));
    bytes.push(known);
    if (known === 0x63) bytes.push(...text(pick(random, ['torch\nFloatStorage\n', 'torch._utils\n_rebuild_tensor_v2\n', 'collections\nOrderedDict\n', 'torch._utils\n_rebuild_parameter\n', 'os\nsystem\n'])));
    else if (known === 0x58) bytes.push(...(random.unit() < 0.9 ? [7, 0, 0, 0, ...text('storage')] : [1, 0, 0, 0, 0x30]));
    else if (known === 0x68 || known === 0x71 || known === 0x4b) bytes.push(random.integer(0, 5));
    else if (known === 0x4d) bytes.push(random.integer(0, 255), random.integer(0, 255));
    else if (known === 0x8a) bytes.push(random.integer(0, 8));
  }
  return Uint8Array.from(bytes);
}

/** A file in which one or two fields lie, with everything around them in order. */
function lyingFile(random: Random): Uint8Array<ArrayBuffer> {
  const number = (): number => pick(random, [0, 1, 2, 3, 5, 10, 39, 40, 41, 255, 65535, 2 ** 31, 2 ** 32 - 1, 2 ** 40, -1, ...Array.from({ length: 16 }, () => random.integer(0, 8))]);
  const numbers = (length: number): number[] => Array.from({ length }, number);
  const rare = (): boolean => random.unit() < 0.1;
  const view = (tensor: TorchTensor): TorchTensor => {
    const dims = random.integer(0, 4);
    return { ...tensor, offset: rare() ? number() : random.integer(0, 9), shape: numbers(dims), strides: numbers(rare() ? random.integer(0, 9) : dims) };
  };
  const fields = (): Partial<ZipFields> => rare()
    ? { name: pick(random, ['../x', 'pytorch_model/data/0', 'archive/data/0', '', '/', 'pytorch_model/data.pkl', 'a\\b']) }
    : { [pick(random, ['method', 'flags', 'size', 'stored', 'offset', 'disk'])]: Math.abs(number()) };
  const kind = random.integer(0, 3);
  const layout = pick(random, LAYOUTS);
  if (kind < 2) return torchFile({ ...tensors, [pick(random, Object.keys(tensors))]: view(pick(random, Object.values(tensors))) }, storages, layout);
  if (kind === 2) {
    const key = pick(random, Object.keys(storages));
    const lie = { ...storages[key]!, type: pick(random, ['FloatStorage', 'HalfStorage', 'BoolStorage', 'Storage']), elements: number() };
    return torchFile(tensors, { ...storages, [key]: lie }, layout);
  }
  const at = random.integer(0, 7);
  const lie = (entry: ZipInput, i: number): ZipInput => (i === at ? { ...entry, [pick(random, ['directory', 'local'])]: fields() } : entry);
  return torchFile(tensors, storages, { ...layout, edit: (entries) => entries.map(lie) });
}

function hostileFile(random: Random): Uint8Array<ArrayBuffer> {
  const withPickle = (pickle: Uint8Array): Uint8Array<ArrayBuffer> =>
    torchFile(tensors, storages, { ...pick(random, LAYOUTS), edit: ([first, ...rest]) => [{ ...first!, bytes: pickle }, ...rest] });
  switch (random.integer(0, 3)) {
    case 0: return withPickle(mutate(pick(random, PICKLES), random, { other: pick(random, PICKLES) }));
    case 1: return withPickle(randomPickle(random));
    case 2: return lyingFile(random);
    default: return mutate(pick(random, WHOLE), random, { other: pick(random, WHOLE) });
  }
}

/** Reads all of it, and no more than a small multiple of its size. */
async function probe(file: Uint8Array<ArrayBuffer>): Promise<void> {
  let bytesRead = 0;
  const inner = sourceFromContent('m.bin', file);
  const source: ByteSource = { ...inner, read: (offset, length) => { bytesRead += length; return inner.read(offset, length); } };
  let made = 0;
  try {
    for (const [name, entry] of await readTorchTensors(source)) {
      const bytes = await readTensor(name, { ...entry, source });
      if (bytes.length !== entry.byteLength) throw new Error(`${name} has ${bytes.length} bytes, not ${entry.byteLength}`);
      made += bytes.length;
    }
  } finally {
    if (bytesRead > 12 * file.length + 4096) throw new Error(`${bytesRead} bytes were read of ${file.length}`);
    if (made > 8 * file.length) throw new Error(`tensors of ${made} bytes came from ${file.length}`);
  }
}

fuzz<Uint8Array<ArrayBuffer>>({
  kind: 'hostile PyTorch files', inputs: 4000, endings: 35, make: hostileFile, size: ({ length }) => length,
  async use(file, n) {
    if (n % 10 === 0) await MatMulFreeLM.load({ 'config.json': CONFIG, 'pytorch_model.bin': file });
    await probe(file);
  },
});

import { FormatError, show } from '../errors.js';
import type { ByteSource } from './bytes.js';
import { refuseLfsPointer } from './lfs.js';
import { readPickle, type Complain, type PickleHost, type PickleTuple, type PickleValue } from './pickle.js';
import { DTYPE_BYTES, isContiguous, spanOf, type TensorEntry } from './stored-tensor.js';
import { isZip, readZipDirectory, zipDataOffset, type ZipEntry } from './zip.js';

/*
 * `torch.save` of a dictionary of tensors: a zip archive with the pickle `<top>/data.pkl` and each storage, a run of elements of
 * one type, in `<top>/data/<key>`. A tensor is a view of a storage: offset, shape and strides; tensors may share one.
 */

/** What the globals and calls of a checkpoint's pickle make. Nothing else can be in it. */
type TorchObject =
  | { readonly kind: 'function'; readonly name: 'dictionary' | 'tensor' | 'parameter' }
  | { readonly kind: 'storage type'; readonly dtype: string }
  | Storage
  | { readonly kind: 'tensor'; readonly view: View };

interface Storage {
  readonly kind: 'storage';
  readonly dtype: string;
  readonly key: string;
  readonly elements: number;
}

interface View {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

const GLOBALS: ReadonlyMap<string, TorchObject> = new Map<string, TorchObject>([
  ['collections.OrderedDict', { kind: 'function', name: 'dictionary' }],
  ['torch._utils._rebuild_tensor_v2', { kind: 'function', name: 'tensor' }],
  ['torch._utils._rebuild_parameter', { kind: 'function', name: 'parameter' }],
  ...['Double F64', 'Float F32', 'Half F16', 'BFloat16 BF16', 'Long I64', 'Int I32', 'Short I16', 'Char I8', 'Byte U8', 'Bool BOOL'].map(
    (type): [string, TorchObject] => {
      const [name, dtype] = type.split(' ') as [string, string];
      return [`torch.${name}Storage`, { kind: 'storage type', dtype }];
    },
  ),
]);

/** A name, a shape and some memo numbers for each tensor: about 100 bytes. */
const MAX_PICKLE_BYTES = 16 * 1024 * 1024;
const MAX_DIMENSIONS = 8;
/**
 * Tensors may share storages, and a view may lie scattered over much more than it holds: a small file could ask for endless
 * reading. All views together span at most this many times the bytes of the file.
 */
const MAX_SHARING = 8;

/**
 * Reads and checks the names and places of the tensors in a PyTorch checkpoint (`torch.save`, PyTorch 1.6 and later); their data
 * is not read. The pickle inside is not executed: see pickle.ts.
 * @throws FormatError naming file, tensor and byte.
 */
export async function readTorchTensors(source: ByteSource): Promise<Map<string, TensorEntry>> {
  const file = source.name;
  await checkKind(source);
  const entries = await readZipDirectory(source);
  const top = findTop(file, [...entries.keys()]);
  await checkByteOrder(source, entries.get(`${top}/byteorder`));
  const where = `${file}: data.pkl`;
  const root = readPickle(where, await readEntry(source, entries.get(`${top}/data.pkl`)!, MAX_PICKLE_BYTES), HOST);
  if (!(root instanceof Map)) throw new FormatError(`${where}: holds no dictionary of tensors`);

  const places = new Map<string, number>(); // of the storages that tensors refer to
  const tensors = new Map<string, TensorEntry>();
  let spanBytes = 0;
  for (const [name, value] of root) {
    const tensor = `${file}: tensor ${show(name)}`;
    if (!isTorch(value) || value.kind !== 'tensor') {
      throw new FormatError(`${file}: ${show(name)} is not a tensor; a checkpoint is a dictionary with nothing but tensors in it (model.state_dict())`);
    }
    const { storage, offset, shape, strides } = value.view;
    const itemBytes = DTYPE_BYTES.get(storage.dtype)!;
    const data = entries.get(`${top}/data/${storage.key}`);
    if (data?.byteLength !== storage.elements * itemBytes) {
      const found = data ? `has ${data.byteLength} bytes` : 'is not in the archive';
      throw new FormatError(`${tensor}: its storage ${show(storage.key)} of ${storage.elements} ${storage.dtype} elements ${found}`);
    }
    const { elements, span } = measure(tensor, value.view);
    spanBytes += span * itemBytes;
    if (spanBytes > source.size * MAX_SHARING) {
      throw new FormatError(`${tensor}: the tensors up to this one take ${spanBytes} bytes, the file has ${source.size}: save them with .contiguous()`);
    }
    const start = places.get(storage.key) ?? (await zipDataOffset(source, data));
    places.set(storage.key, start);
    tensors.set(name, {
      dtype: storage.dtype, shape, offset: start + offset * itemBytes, byteLength: elements * itemBytes,
      ...(isContiguous(shape, strides) ? undefined : { strides }),
    });
  }
  return tensors;
}

/** How many elements a view has, and over how many of its storage they lie. @throws FormatError unless it is inside. */
function measure(tensor: string, { storage, offset, shape, strides }: View): { elements: number; span: number } {
  const elements = shape.reduce((product, n) => product * n, 1);
  const span = spanOf(shape, strides);
  if (offset + span > storage.elements) {
    throw new FormatError(`${tensor} ends at element ${offset + span} of storage ${show(storage.key)}, which has ${storage.elements}`);
  }
  if (elements > span) throw new FormatError(`${tensor} [${shape}] repeats elements (strides [${strides}]): save it with .contiguous()`);
  return { elements, span };
}

async function checkKind(source: ByteSource): Promise<void> {
  if (await isZip(source)) return;
  await refuseLfsPointer(source);
  // Before 1.6: pickles one after another, the first of them a magic number.
  const start = await source.read(0, Math.min(source.size, 4));
  if (start[0] === 0x80 && start[2] === 0x8a && start[3] === 0x0a) {
    throw new FormatError(`${source.name}: was written by PyTorch before 1.6; load it in a newer one and save it again with torch.save`);
  }
  throw new FormatError(`${source.name}: is not a PyTorch checkpoint: it does not start as a zip archive`);
}

/** The one folder that everything in the archive is in; it has the name that the file was saved under. */
function findTop(file: string, names: readonly string[]): string {
  const found = names.filter((name) => /^[^/]*\/data\.pkl$/.test(name));
  if (found.length !== 1) throw new FormatError(`${file}: is not a PyTorch checkpoint: the zip archive has ${found.length} files <folder>/data.pkl`);
  return found[0]!.slice(0, -'/data.pkl'.length);
}

/** Written by PyTorch 2.1 and later; without it the machine's order was not kept, and nearly all are little-endian. */
async function checkByteOrder(source: ByteSource, entry: ZipEntry | undefined): Promise<void> {
  if (!entry) return;
  const order = String.fromCharCode(...(await readEntry(source, entry, 16)));
  if (order !== 'little') throw new FormatError(`${source.name}: byteorder is ${show(order)}; only little-endian checkpoints are read`);
}

async function readEntry(source: ByteSource, entry: ZipEntry, limit: number): Promise<Uint8Array> {
  const { name, byteLength } = entry;
  if (byteLength > limit) throw new FormatError(`${source.name}: ${show(name)} has ${byteLength} bytes, more than the ${limit} that it may have`);
  return source.read(await zipDataOffset(source, entry), byteLength);
}

const HOST: PickleHost<TorchObject> = {
  global: (name) => GLOBALS.get(name),
  persistent(id, complain) {
    const [kind, type, key, , elements] = Array.isArray(id) ? (id as PickleTuple<TorchObject>) : [];
    if (kind !== 'storage' || !isTorch(type) || type.kind !== 'storage type' || typeof key !== 'string' || !isNatural(elements)) {
      throw complain('the persistent id is not that of a storage');
    }
    return { kind: 'storage', dtype: type.dtype, key, elements };
  },
  call(callee, args, complain) {
    const name = isTorch(callee) && callee.kind === 'function' ? callee.name : undefined;
    const [first] = args;
    if (name === 'tensor') return { kind: 'tensor', view: readView(args, complain) };
    if (name === 'parameter' && isTorch(first) && first.kind === 'tensor') return first;
    if (name === 'dictionary' && first === undefined) return new Map();
    throw complain('a call that is not that of a tensor, a parameter or an empty OrderedDict');
  },
};

/** The arguments of _rebuild_tensor_v2: storage, offset, shape, strides, requires_grad, backward_hooks, then perhaps metadata. */
function readView(args: PickleTuple<TorchObject>, complain: Complain): View {
  const [storage, offset, shape, strides, , , metadata] = args;
  // Metadata may say that the sign of every element is to be turned.
  const isPlain = metadata instanceof Map ? metadata.size === 0 : !metadata;
  if (
    !isTorch(storage) || storage.kind !== 'storage' || !isNatural(offset) || !isNaturals(shape) || !isNaturals(strides) ||
    shape.length !== strides.length || !isPlain
  ) {
    throw complain('a tensor is not made of a storage, an offset, a shape and as many strides, and nothing else');
  }
  return { storage, offset, shape, strides };
}

function isTorch(value: PickleValue<TorchObject> | undefined): value is TorchObject {
  return typeof value === 'object' && value !== null && 'kind' in value;
}

function isNatural(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Shapes and strides may be shared by many tensors, so their length is bounded before they are looked through. */
function isNaturals(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length <= MAX_DIMENSIONS && value.every(isNatural);
}

/*
 * `torch.save` for tests: a zip writer and a pickle writer that share nothing with the library's readers. What they write can be
 * spoilt in every field.
 */

/** Little-endian bytes, one after another. */
export class Bytes {
  readonly list: number[] = [];
  u8(...values: number[]): this { for (const v of values) this.list.push(v & 255); return this; }
  uint(value: number, bytes: number): this { for (let i = 0; i < bytes; i++) this.u8(Math.floor(value / 2 ** (8 * i)) % 256); return this; }
  u16(v: number): this { return this.uint(v, 2); }
  u32(v: number): this { return this.uint(v, 4); }
  u64(v: number): this { return this.uint(v, 8); }
  put(bytes: Iterable<number>): this { for (const b of bytes) this.list.push(b); return this; }
  text(v: string): this { return this.put(new TextEncoder().encode(v)); }
  get bytes(): Uint8Array<ArrayBuffer> { return Uint8Array.from(this.list); }
}

/** The fields of a zip entry that a test may lie about. */
export interface ZipFields {
  name: string;
  method: number;
  flags: number;
  size: number;
  stored: number;
  offset: number;
  disk: number;
}

export interface ZipInput {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Changes what the directory says. */
  readonly directory?: Partial<ZipFields>;
  /** Changes what stands in front of the data. */
  readonly local?: Partial<ZipFields>;
}

export interface ZipOptions {
  /** Where data begins, a multiple of this; torch.save pads to 64 by an extra field "FB". */
  readonly align?: number;
  /** `records`: with zip64 end records, as torch.save always writes them; `entries`: and all sizes and offsets in zip64 fields. */
  readonly zip64?: 'none' | 'records' | 'entries';
  /** Sizes behind the data and not in front of it, as torch.save has it. */
  readonly descriptors?: boolean;
  /** Replaces fields of the end records. */
  readonly end?: { here?: number; count?: number; length?: number; offset?: number; comment?: string; disk?: number };
  readonly end64?: { count?: number; length?: number; offset?: number; at?: number; size?: number };
}

export function zipFile(inputs: readonly ZipInput[], options: ZipOptions = {}): Uint8Array<ArrayBuffer> {
  const { align = 64, zip64 = 'records', descriptors = true } = options;
  const out = new Bytes();
  const directory = new Bytes();
  const long = zip64 === 'entries';
  for (const { name, bytes, ...lies } of inputs) {
    const start = out.list.length;
    const truth: ZipFields = { name, method: 0, flags: descriptors ? 0x808 : 0x800, size: bytes.length, stored: bytes.length, offset: start, disk: 0 };
    const local = { ...truth, ...(descriptors ? { size: 0, stored: 0 } : {}), ...lies.local };
    const extra = new Bytes();
    if (long && !descriptors) extra.u16(1).u16(16).u64(local.size).u64(local.stored);
    const nameBytes = new TextEncoder().encode(local.name);
    const rest = (start + 30 + nameBytes.length + extra.list.length + 4) % align;
    if (align > 1) extra.text('FB').u16((align - rest) % align).put(new Uint8Array((align - rest) % align).fill(0x5a));
    out.u32(0x04034b50).u16(0).u16(local.flags).u16(local.method).u32(0).u32(0);
    if (long && !descriptors) out.u32(0xffffffff).u32(0xffffffff);
    else out.u32(local.stored).u32(local.size);
    out.u16(nameBytes.length).u16(extra.list.length).put(nameBytes).put(extra.list).put(bytes);
    if (descriptors) out.u32(0x08074b50).u32(0).u32(bytes.length).u32(bytes.length);

    const told = { ...truth, ...lies.directory };
    const toldName = new TextEncoder().encode(told.name);
    directory.u32(0x02014b50).u16(0).u16(0).u16(told.flags).u16(told.method).u32(0).u32(0);
    if (long) directory.u32(0xffffffff).u32(0xffffffff);
    else directory.u32(told.stored).u32(told.size);
    directory.u16(toldName.length).u16(long ? 33 : 0).u16(0).u16(told.disk).u16(0).u32(0).u32(long ? 0xffffffff : told.offset).put(toldName);
    // Another extra field first, so that the zip64 one has to be looked for.
    if (long) directory.u16(0x7777).u16(1).u8(9).u16(1).u16(24).u64(told.size).u64(told.stored).u64(told.offset);
  }
  const offset = out.list.length;
  const length = directory.list.length;
  out.put(directory.list);
  if (zip64 !== 'none') {
    const { end64 = {} } = options;
    const at = out.list.length;
    out.u32(0x06064b50).u64(end64.size ?? 44).u16(0x31e).u16(0x2d).u32(0).u32(0);
    out.u64(end64.count ?? inputs.length).u64(end64.count ?? inputs.length).u64(end64.length ?? length).u64(end64.offset ?? offset);
    out.u32(0x07064b50).u32(0).u64(end64.at ?? at).u32(1);
  }
  const { end = {} } = options;
  const comment = new TextEncoder().encode(end.comment ?? '');
  out.u32(0x06054b50).u16(end.disk ?? 0).u16(end.disk ?? 0);
  const count = end.count ?? (long ? 0xffff : inputs.length);
  out.u16(end.here ?? count).u16(count).u32(end.length ?? (long ? 0xffffffff : length)).u32(end.offset ?? (long ? 0xffffffff : offset));
  return out.u16(comment.length).put(comment).bytes;
}

/** Writes a pickle of protocol 2 as Python's pickler does: everything it may meet again gets the next memo number. */
export class Pickle {
  readonly out = new Bytes();
  private readonly memo = new Map<string, number>();
  private next = 0;
  constructor(protocol = 2) { this.out.u8(0x80, protocol); }
  op(char: string): this { this.out.text(char); return this; }
  put(): this { return this.putAt(this.next++); }
  putAt(index: number): this {
    if (index < 256) this.out.u8(0x71, index); // BINPUT
    else this.out.u8(0x72).u32(index); // LONG_BINPUT
    return this;
  }
  get(index: number): this {
    if (index < 256) this.out.u8(0x68, index);
    else this.out.u8(0x6a).u32(index);
    return this;
  }
  text(value: string): this {
    return this.remember(`text ${value}`, () => {
      const bytes = new TextEncoder().encode(value);
      this.out.u8(0x58).u32(bytes.length).put(bytes);
    });
  }
  global(module: string, name: string): this {
    return this.remember(`global ${module} ${name}`, () => this.out.text(`c${module}\n${name}\n`));
  }
  int(value: number): this {
    if (value >= 0 && value < 256) this.out.u8(0x4b, value);
    else if (value >= 0 && value < 65536) this.out.u8(0x4d).u16(value);
    else if (value >= -(2 ** 31) && value < 2 ** 31) this.out.u8(0x4a).u32(value >>> 0);
    else this.out.u8(0x8a, 6).uint(value, 6); // LONG1
    return this;
  }
  bool(value: boolean): this { this.out.u8(value ? 0x88 : 0x89); return this; }
  /** The elements are written by the caller's functions, in order. */
  tuple(...parts: (() => unknown)[]): this {
    if (parts.length === 0) return this.op(')');
    if (parts.length > 3) this.op('(');
    for (const part of parts) part();
    if (parts.length > 3) this.op('t');
    else this.out.u8(0x84 + parts.length); // TUPLE1, 2, 3
    return this.put();
  }
  ints(values: readonly number[]): this { return this.tuple(...values.map((v) => () => this.int(v))); }
  orderedDict(): this { return this.global('collections', 'OrderedDict').op(')R').put(); }
  stop(): Uint8Array<ArrayBuffer> { this.out.text('.'); return this.out.bytes; }

  private remember(key: string, write: () => unknown): this {
    const known = this.memo.get(key);
    if (known !== undefined) return this.get(known);
    write();
    this.memo.set(key, this.next);
    return this.put();
  }
}

export interface TorchStorage {
  /** FloatStorage, HalfStorage, BFloat16Storage, DoubleStorage, … */
  readonly type: string;
  readonly bytes: Uint8Array;
  /** Number of elements; default: as many as the bytes hold. */
  readonly elements?: number;
}

export interface TorchTensor {
  readonly storage: string;
  readonly shape: readonly number[];
  readonly offset?: number;
  /** Default: one row after another. */
  readonly strides?: readonly number[];
  /** An nn.Parameter around it. */
  readonly parameter?: boolean;
  /** The seventh argument, as a dictionary of one true bit. */
  readonly metadata?: string;
}

export interface TorchOptions {
  readonly top?: string;
  /** `state_dict()` is an OrderedDict with an attribute `_metadata`; a copy made by hand is a plain dict. */
  readonly root?: 'dict' | 'OrderedDict';
  readonly byteorder?: string | undefined;
  readonly zip?: ZipOptions;
  /** Changes the entries before they are zipped. */
  readonly edit?: (entries: ZipInput[]) => ZipInput[];
}

const ITEM_BYTES: Record<string, number> = { DoubleStorage: 8, LongStorage: 8, FloatStorage: 4, IntStorage: 4, HalfStorage: 2, BFloat16Storage: 2, ByteStorage: 1 };

export function denseStrides(shape: readonly number[]): number[] {
  return shape.map((_, d) => shape.slice(d + 1).reduce((product, n) => product * n, 1));
}

export function torchPickle(tensors: Record<string, TorchTensor>, storages: Record<string, TorchStorage>, root: 'dict' | 'OrderedDict' = 'dict'): Uint8Array<ArrayBuffer> {
  const p = new Pickle();
  if (root === 'OrderedDict') p.orderedDict();
  else p.op('}').put();
  const names = Object.entries(tensors);
  for (let first = 0; first < names.length; first += 1000) { // Python's batches
    p.op('(');
    for (const [name, tensor] of names.slice(first, first + 1000)) {
      p.text(name);
      writeTensor(p, tensor, storages[tensor.storage]!);
    }
    p.op('u');
  }
  if (root === 'OrderedDict') {
    p.op('}').put().text('_metadata').orderedDict().op('(');
    for (const module of ['', 'model']) p.text(module).op('}').put().text('version').int(1).op('s');
    p.op('u').op('s').op('b');
  }
  return p.stop();
}

function writeTensor(p: Pickle, tensor: TorchTensor, storage: TorchStorage): void {
  const { shape, offset = 0, strides = denseStrides(shape), parameter = false, metadata } = tensor;
  if (parameter) p.global('torch._utils', '_rebuild_parameter').op('(');
  p.global('torch._utils', '_rebuild_tensor_v2').tuple(
    () => p.tuple(
      () => p.text('storage'), () => p.global('torch', storage.type), () => p.text(tensor.storage), () => p.text('cpu'),
      () => p.int(storage.elements ?? storage.bytes.length / ITEM_BYTES[storage.type]!),
    ).op('Q'),
    () => p.int(offset), () => p.ints(shape), () => p.ints(strides), () => p.bool(false), () => p.orderedDict(),
    ...(metadata === undefined ? [] : [() => p.op('}').put().text(metadata).bool(true).op('s')]),
  ).op('R').put();
  if (parameter) p.bool(true).orderedDict().op('t').put().op('R').put();
}

/** A whole file as `torch.save` lays it out. */
export function torchFile(tensors: Record<string, TorchTensor>, storages: Record<string, TorchStorage>, options: TorchOptions = {}): Uint8Array<ArrayBuffer> {
  const { top = 'pytorch_model', root, zip, edit = (entries) => entries } = options;
  const byteorder = 'byteorder' in options ? options.byteorder : 'little';
  const text = (value: string): Uint8Array => new TextEncoder().encode(value);
  const entries: ZipInput[] = [{ name: `${top}/data.pkl`, bytes: torchPickle(tensors, storages, root) }];
  if (byteorder !== undefined) entries.push({ name: `${top}/byteorder`, bytes: text(byteorder) });
  for (const [key, { bytes }] of Object.entries(storages)) entries.push({ name: `${top}/data/${key}`, bytes });
  entries.push({ name: `${top}/version`, bytes: text('3\n') }, { name: `${top}/.data/serialization_id`, bytes: text('0123') });
  return zipFile(edit(entries), zip);
}

/** One storage for each tensor, in order, as a model that was just made is saved. */
export function torchFromFloats(
  tensors: Record<string, { readonly shape: readonly number[]; readonly values: ArrayLike<number> }>, options?: TorchOptions,
): Uint8Array<ArrayBuffer> {
  const views = Object.create(null) as Record<string, TorchTensor>; // a tensor may be called __proto__
  const storages: Record<string, TorchStorage> = {};
  Object.entries(tensors).forEach(([name, { shape, values }], i) => {
    views[name] = { storage: String(i), shape };
    storages[i] = { type: 'FloatStorage', bytes: new Uint8Array(Float32Array.from(values).buffer) };
  });
  return torchFile(views, storages, options);
}

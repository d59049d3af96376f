import { show, SourceError } from '../../errors.js';
import type { ByteSource, FileSet } from '../../formats/bytes.js';
import { isPlainFileName } from '../../formats/file-names.js';
import { fetchFile, untilStable, type Fetcher } from './download.js';
import { refusal, Unreachable } from './failures.js';
import { get, withFewAttempts, type Net } from './http.js';
import { hostKey, isWebPage, nameIn, showUrl, slug, type Key } from './names.js';
import { shortHash } from './sha256.js';

/** What one small request tells of a file. */
interface Probe {
  readonly size: number | undefined;
  readonly tag: string | undefined;
  readonly sha256: string | undefined;
}

/** What the server said of a file, kept for when it cannot be reached. */
interface Saved {
  readonly tag?: string | undefined;
  readonly isAbsent?: boolean;
}

/** A URL has no list of files: these are asked for, the preferred first. */
const WEIGHTS = ['model.safetensors', 'model.safetensors.index.json', 'pytorch_model.bin', 'pytorch_model.bin.index.json'];

/** A .gguf file under a URL, or what lies beside config.json in a folder of one. Files are told from older ones by their ETag. */
export async function urlFiles(fetcher: Fetcher, location: string): Promise<FileSet> {
  const { net, store, onProgress } = fetcher;
  const base = new URL(location);
  const isFile = /\.gguf$/i.test(base.pathname);
  if (!isFile && !base.pathname.endsWith('/')) base.pathname += '/';
  base.hash = '';
  const at = (file: string): string => {
    const url = new URL(base);
    url.pathname = base.pathname.replace(/[^/]*$/, encodeURIComponent(file));
    return url.href;
  };
  const only = isFile ? fileName(base) : undefined;
  const name = showUrl(base);
  const folder: Key = [hostKey(base.origin), `url--${slug(base.href, name)}`];
  const probes = new Map<string, Promise<Probe | undefined>>();
  let isOffline: Unreachable | undefined;
  let isTold = false;

  const savedKey = (file: string): Key => [...folder, 'refs', `${file}.json`];
  const save = (file: string, what: Saved): Promise<void> => store.writeText(savedKey(file), JSON.stringify({ source: name, ...what }));
  const isOptional = (file: string): boolean => file !== (only ?? 'config.json');

  const ask = async (file: string, isSaved: boolean): Promise<Probe | undefined> => {
    if (isOffline) throw isOffline; // a model in the cache is to load soon
    const asked = probes.get(file) ?? probe(isSaved ? withFewAttempts(net) : net, at(file), isOptional(file));
    probes.set(file, asked);
    return asked.catch((error: unknown) => {
      if (error instanceof Unreachable) isOffline = error;
      throw error;
    });
  };

  /** What the server says of a file, or what it said the last time if it cannot be reached: `isNow` tells which. */
  const look = async (file: string): Promise<{ found: Probe | undefined; before: Saved | undefined; isNow: boolean }> => {
    const before = readSaved(await store.readText(savedKey(file)));
    try {
      const found = await ask(file, before !== undefined);
      if (!found && isOptional(file) && !before?.isAbsent) await save(file, { isAbsent: true });
      return { found, before, isNow: true };
    } catch (error) {
      if (!before || !(error instanceof Unreachable)) throw error;
      if (!isTold) onProgress?.({ stage: 'offline', file: name, loaded: 0, total: 0 });
      isTold = true;
      return { found: before.isAbsent ? undefined : { size: undefined, tag: before.tag, sha256: undefined }, before, isNow: false };
    }
  };

  const open = async (file: string): Promise<ByteSource | undefined> => {
    if (!isPlainFileName(file)) return undefined;
    const url = at(file);
    const label = showUrl(url);
    return untilStable(label, async () => {
      const { found, before, isNow } = await look(file);
      if (!found) return undefined;
      const { tag } = found;
      const key = [...folder, tag === undefined ? 'latest' : shortHash(tag), file];
      if (!isNow) {
        const kept = await store.open(key);
        if (kept) return kept;
        throw isOffline!;
      }
      probes.delete(file); // should the file change meanwhile, it is asked for anew
      const source = await fetchFile(fetcher, { name: file, label, url, key, version: tag, ...found });
      if (!before || before.isAbsent || before.tag !== tag) await save(file, { tag });
      return source;
    });
  };

  const list = async (): Promise<string[]> => {
    if (only !== undefined) return [only];
    const config = await open('config.json');
    if (!config) throw new SourceError(`${name}: holds no config.json; give the URL of a .gguf file, or of a folder in Hugging Face layout, or hf:owner/name for a model on the Hub`);
    await config.close();
    for (const file of WEIGHTS) if ((await look(file)).found) return ['config.json', file];
    return ['config.json'];
  };

  return {
    name,
    list,
    async open(file) {
      const source = await open(file);
      if (!source && file === only) throw new SourceError(`${name}: there is no such file, or it is a web page`);
      return source;
    },
  };
}

function fileName(url: URL): string {
  const name = nameIn(url);
  if (name === undefined) throw new SourceError(`${showUrl(url)}: ${show(url.pathname.replace(/^.*\//, ''))} cannot be the name of a file`);
  return name;
}

/** Undefined when there is no such file. The first byte is asked for: not all servers answer HEAD. */
function probe(net: Net, url: string, isOptional: boolean): Promise<Probe | undefined> {
  const label = showUrl(url);
  return get(net, label, url, () => '0-0', async (reply): Promise<Probe | undefined> => {
    const { status, type, length, tag, sha256, linkedSize } = reply;
    // Stores that do not let everybody list them say 403 of what is not there.
    if (status === 404 || status === 410 || (status === 403 && isOptional)) return undefined;
    if (status === 416) return { size: undefined, tag: undefined, sha256: undefined }; // an empty file
    if (status !== 200 && status !== 206) throw refusal(net.token, label, reply);
    if (isWebPage(type)) return undefined;
    const size = reply.range?.total ?? linkedSize ?? (status === 200 ? length : undefined);
    // Without a size, a connection that is cut may look like the end: such a file is not taken for whole the next time.
    return { size, tag: size === undefined ? undefined : tag, sha256 };
  });
}

function readSaved(text: string | undefined): Saved | undefined {
  try {
    const { tag, isAbsent } = JSON.parse(text ?? 'null') as { [key: string]: unknown };
    return { tag: typeof tag === 'string' ? tag : undefined, isAbsent: isAbsent === true };
  } catch {
    return undefined;
  }
}

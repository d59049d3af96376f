import { FormatError, shorten, show, SourceError } from '../../errors.js';
import { decodeUtf8, isJsonObject, parseJsonObject, type FileSet } from '../../formats/bytes.js';
import { foldFileName, isPlainFileName, isPlainPath } from '../../formats/file-names.js';
import { fetchFile, untilStable, type Fetcher } from './download.js';
import { Broken, refusal, Unreachable } from './failures.js';
import { get, withFewAttempts, type Net } from './http.js';
import { hostKey, hubName, slug, type HubLocation, type Key } from './names.js';

/** The files of a model at one commit. */
interface Snapshot {
  readonly commit: string;
  readonly files: readonly HubFile[];
}

interface HubFile {
  readonly path: string;
  readonly size: number | undefined;
  /** Of files that the Hub keeps as large ones. */
  readonly sha256: string | undefined;
}

/** Lists of repositories with thousands of files are a few MB. */
const MAX_LIST_BYTES = 32 * 1024 * 1024;
const MAX_FILES = 100_000;
/** In a message. */
const MAX_LISTED = 12;
/** What is fetched from a model: nothing else is of use to anybody here. */
const KINDS = /\.(json|gguf|safetensors|bin)$/i;

/**
 * The files of a model on the Hub, at the commit that its revision stands for now; when the Hub cannot be reached, at the last
 * one whose files were fetched.
 */
export async function hubFiles(fetcher: Fetcher, where: HubLocation): Promise<FileSet> {
  const { net, store, onProgress } = fetcher;
  const name = hubName(where);
  const folder: Key = [hostKey(where.endpoint), `models--${where.owner}--${where.model}`];
  const savedKey: Key = [...folder, 'refs', `${slug(where.revision)}.json`];
  const saved = readSaved(await store.readText(savedKey));
  const isCommit = /^[0-9a-f]{40}$/.test(where.revision);

  let snapshot = saved;
  if (!saved || !isCommit) {
    try {
      snapshot = await fetchList(saved ? withFewAttempts(net) : net, where, name);
    } catch (error) {
      if (!saved || !(error instanceof Unreachable)) throw error;
      onProgress?.({ stage: 'offline', file: name, loaded: 0, total: 0 });
    }
  }
  const { commit, files } = snapshot!;
  if (isCommit && commit !== where.revision) throw new FormatError(`${name}: the Hub's list of files is that of commit ${commit}`);
  const save = (): Promise<void> => store.writeText(savedKey, JSON.stringify({ source: `hf:${where.owner}/${where.model}`, revision: where.revision, commit, files }));
  if (!saved) await save();

  const choice = choose(name, where, files.map(({ path }) => path));
  const fetched = new Set<string>();
  return {
    name: where.file === undefined ? name : `${name}/${where.file}`,
    list: async () => choice.list,
    async open(file) {
      const path = `${choice.folder}${file}`;
      const found = isPlainFileName(file) && KINDS.test(file) ? files.find((other) => other.path === path) : undefined;
      if (!found) return undefined;
      const label = `${name}/${path}`;
      const url = `${where.endpoint}/${where.owner}/${where.model}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`;
      const { size, sha256 } = found;
      const source = await untilStable(label, () =>
        fetchFile(fetcher, { name: file, label, url, key: [...folder, commit, ...path.split('/')], size, sha256, version: commit, tag: undefined }));
      // Only now may the revision stand for this commit: until then an older one that is whole serves when the Hub cannot be reached.
      fetched.add(file);
      if (choice.weights.every((weights) => fetched.has(weights)) && saved?.commit !== commit) await save();
      return source;
    },
  };
}

interface Choice {
  /** '' or a path that ends in a slash. */
  readonly folder: string;
  readonly list: string[];
  /** The files without which there is no model. */
  readonly weights: readonly string[];
}

/** Which of the files of a repository are the model that is meant. @throws SourceError when there are several, or none. */
function choose(name: string, { file }: HubLocation, paths: readonly string[]): Choice {
  const ggufs = paths.filter((path) => /\.gguf$/i.test(path));
  const some = ggufs.slice(0, MAX_LISTED).map(shorten).join(', ') + (ggufs.length > MAX_LISTED ? ', …' : '');
  if (file !== undefined) {
    if (!paths.includes(file)) throw new SourceError(`${name}: has no file ${show(file)}${ggufs.length > 0 ? `; its .gguf files are ${some}` : ''}`);
    return chooseGguf(file, paths);
  }
  const here = paths.filter((path) => !path.includes('/') && !ggufs.includes(path)).sort();
  const hasConfig = here.includes('config.json');
  const weights = ['safetensors', 'bin'].map((kind) => weightsOf(here, kind)).find((found) => found.length > 0) ?? [];
  if (hasConfig && weights.length > 0) return { folder: '', list: here, weights };
  // Of a file in parts, the first stands for it.
  const whole = ggufs.filter((path) => !/-\d{5}-of-\d{5}\.gguf$/i.test(path) || /-00001-of-\d{5}\.gguf$/i.test(path));
  if (whole.length === 1) return chooseGguf(whole[0]!, paths);
  if (whole.length > 1) throw new SourceError(`${name}: holds several GGUF files (${some}); name one of them, as in ${name}/${whole[0]!}`);
  return { folder: '', list: here, weights };
}

function chooseGguf(path: string, paths: readonly string[]): Choice {
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  const [, stem, count] = /^(.*)-\d{5}-of-(\d{5})\.gguf$/i.exec(path) ?? [];
  const parts = stem === undefined ? [path] : paths.filter((other) => other.startsWith(`${stem}-`) && other.endsWith(`-of-${count}.gguf`));
  return { folder, list: [path.slice(folder.length)], weights: parts.map((part) => part.slice(folder.length)) };
}

/** The weights of a kind, in one file or in shards. */
function weightsOf(names: readonly string[], kind: string): string[] {
  const stem = kind === 'bin' ? 'pytorch_model' : 'model';
  if (names.includes(`${stem}.${kind}`)) return [`${stem}.${kind}`];
  const shard = new RegExp(`^${stem}-\\d+-of-\\d+\\.${kind}$`);
  return names.includes(`${stem}.${kind}.index.json`) ? names.filter((name) => shard.test(name)) : [];
}

async function fetchList(net: Net, where: HubLocation, name: string): Promise<Snapshot> {
  const url = `${where.endpoint}/api/models/${where.owner}/${where.model}/revision/${encodeURIComponent(where.revision)}?blobs=true`;
  return get(net, name, url, () => undefined, async (reply) => {
    if (reply.status !== 200) throw refusal(net.token, name, reply);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    await reply.read((chunk) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > MAX_LIST_BYTES) throw new FormatError(`${name}: the Hub's list of files has more than ${MAX_LIST_BYTES} bytes`);
    });
    if (reply.length !== undefined && bytes !== reply.length) throw new Broken(`the connection ends at byte ${bytes} of ${reply.length}`);
    return readList(`${name}: the Hub's list of files`, decodeUtf8(name, new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer())));
  });
}

/** Reads what `/api/models/…` answers. Files whose names could mean anything else, or each other, are left out. */
function readList(where: string, text: string): Snapshot {
  const { sha, siblings } = parseJsonObject(where, text);
  if (typeof sha !== 'string' || !/^[0-9a-f]{7,64}$/.test(sha)) throw new FormatError(`${where}: "sha" is ${show(sha)}, not a commit`);
  if (!Array.isArray(siblings) || siblings.length > MAX_FILES) throw new FormatError(`${where}: "siblings" is not a list of at most ${MAX_FILES} files`);
  const files = new Map<string, HubFile>();
  for (const entry of siblings as readonly unknown[]) {
    if (!isJsonObject(entry)) continue;
    const lfs = isJsonObject(entry['lfs']) ? entry['lfs'] : {};
    const [file] = readFile({ path: entry['rfilename'], size: lfs['size'] ?? entry['size'], sha256: lfs['sha256'] });
    if (!file) continue;
    // On some file systems both would be one file of the cache. The model's own files have small letters.
    const key = foldFileName(file.path);
    if (!files.has(key) || file.path === key) files.set(key, file);
  }
  return { commit: sha, files: [...files.values()] };
}

function readFile({ path, size, sha256 }: { path?: unknown; size?: unknown; sha256?: unknown }): HubFile[] {
  if (typeof path !== 'string' || !isPlainPath(path) || !KINDS.test(path)) return [];
  return [{
    path,
    size: Number.isSafeInteger(size) && (size as number) >= 0 ? (size as number) : undefined,
    sha256: typeof sha256 === 'string' && /^[0-9a-f]{64}$/.test(sha256) ? sha256 : undefined,
  }];
}

/** What `save` wrote; undefined when there is nothing, or it is damaged. */
function readSaved(text: string | undefined): Snapshot | undefined {
  try {
    const { commit, files } = JSON.parse(text ?? 'null') as { commit: string; files: object[] };
    return /^[0-9a-f]{7,64}$/.test(commit) ? { commit, files: files.flatMap(readFile) } : undefined;
  } catch {
    return undefined;
  }
}

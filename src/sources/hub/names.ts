import { ArgumentError, show } from '../../errors.js';
import { isPlainFileName, isPlainPath } from '../../formats/file-names.js';
import { shortHash } from './sha256.js';

/** Where in the cache something lies: folder names and a file name, each of them safe on every file system. */
export type Key = readonly string[];

/** A model on the Hub. */
export interface HubLocation {
  readonly endpoint: string;
  readonly owner: string;
  readonly model: string;
  readonly revision: string;
  /** A .gguf file of the model, with folders, if one was named. */
  readonly file: string | undefined;
}

const OWNER_OR_MODEL = /^\w[\w.-]{0,95}$/;

/**
 * Reads `hf:owner/name[@revision][/file.gguf]`, and the addresses of the endpoint's own pages. A revision with slashes is written
 * as it is when it begins with `refs/`, otherwise with `%2F`.
 * @returns undefined for a URL of another kind. @throws ArgumentError.
 */
export function parseHubLocation(location: string, endpoint: string): HubLocation | undefined {
  const short = /^hf:([^/@]+)\/([^/@]+)(?:@(refs\/[^/]+\/[^/]+|[^/]+))?(?:\/(.+))?$/i.exec(location);
  const page = location.startsWith(`${endpoint}/`)
    ? /^([^/]+)\/([^/]+(?<!\.gguf))(?:\/(?:tree|blob|resolve)\/(refs\/[^/]+\/[^/]+|[^/]+)(?:\/(.+\.gguf))?)?\/?(?:[?#].*)?$/i.exec(location.slice(endpoint.length + 1))
    : null;
  const found = short ?? page;
  if (!found) {
    if (!/^hf:/i.test(location)) return undefined;
    throw new ArgumentError(`${show(location)}: write a model on the Hub as hf:owner/name, hf:owner/name@revision or hf:owner/name/file.gguf`);
  }
  const [, owner = '', model = '', revision = 'main', file] = found.map((part) => (part === undefined ? undefined : decode(part)));
  const wrong = (what: string, value: string): never => {
    throw new ArgumentError(`${show(location)}: ${show(value)} cannot be ${what}`);
  };
  for (const part of [owner, model]) if (!OWNER_OR_MODEL.test(part) || part.includes('..')) wrong('the name of an owner or a model', part);
  if (!/^\w[\w.\-/]{0,199}$/.test(revision) || revision.includes('..')) wrong('a revision', revision);
  if (file !== undefined && (!isPlainPath(file) || !/\.gguf$/i.test(file))) wrong('a .gguf file of a model', file);
  return { endpoint, owner, model, revision, file };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ArgumentError(`${show(text)}: a % in a name is written %25`);
  }
}

/** `hf:owner/name@revision`, without what is the default. */
export function hubName({ owner, model, revision }: HubLocation): string {
  return `hf:${owner}/${model}${revision === 'main' ? '' : `@${revision}`}`;
}

/** The folder of a server in the cache. What came without TLS is kept apart from what came with it. */
export function hostKey(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol.slice(0, -1)}--${`${host}${pathname}`.replace(/\/$/, '').replace(/[^\w.-]/g, '_')}`.replace(/\.\.|\.$/g, '_');
}

/** A name for text of any kind that is safe, and tells people something: of what is `shown`, should the rest be a secret. */
export function slug(text: string, shown = text): string {
  const plain = shown.replace(/[^\w-]+/g, '-').slice(-40);
  return `${plain}--${shortHash(text)}`;
}

/** A URL as messages show it: queries may hold secrets. */
export function showUrl(url: string | URL): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

/** The name of the file that a URL ends with; undefined if it cannot be the name of one. */
export function nameIn(url: string | URL): string | undefined {
  try {
    const name = decodeURIComponent(new URL(url).pathname.replace(/^.*\//, ''));
    return isPlainFileName(name) ? name : undefined;
  } catch {
    return undefined;
  }
}

/** Servers of web applications answer with their page to everything that they do not have. */
export function isWebPage(contentType: string | null): boolean {
  return /^text\/html/i.test(contentType ?? '');
}

/*
 * What a file may be called that another file names: a shard of an index, a file of the Hub's list, of a URL. The name joins the
 * path of a folder, so it must mean a file in that folder, and nothing else, on every system.
 */

/** Reserved on Windows in any folder, with any extension. */
const DEVICE = /^(con|prn|aux|nul|com[\d¹²³]|lpt[\d¹²³]|conin\$|conout\$) *(\.|$)/i;
/** File systems take 255; a download puts up to 43 around it. */
const MAX_NAME_BYTES = 200;
const MAX_FOLDERS = 7;

/** Whether `name` can only mean a file in the folder it is looked up in: no path, no device, nothing hidden, no look-alike of one. */
export function isPlainFileName(name: string): boolean {
  if (name.length > MAX_NAME_BYTES || new TextEncoder().encode(name).length > MAX_NAME_BYTES) return false;
  // Some file systems and libraries make one character of several that look alike: ‥ is two dots to them, ／ a slash.
  return [name, name.normalize('NFKC')].every((form) =>
    /^[^.\s/\\:*?"<>|\p{C}][^/\\:*?"<>|\p{C}]*$/u.test(form) && !/\.\.|[. ]$/.test(form) && !DEVICE.test(form));
}

/** As `isPlainFileName`, with folders before the name. */
export function isPlainPath(path: string): boolean {
  const parts = path.split('/', MAX_FOLDERS + 2);
  return parts.length <= MAX_FOLDERS + 1 && parts.every(isPlainFileName);
}

/** The same for names that some file system takes for one: those of macOS and Windows know no difference of case. */
export function foldFileName(name: string): string {
  return name.normalize('NFKC').toLowerCase();
}

/**
 * The files of a drop: single ones, or those of a folder, without its sub-folders. The entries must be taken at once: the browser
 * forgets them when the event is over.
 */
export async function droppedFiles(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry());
  const files = [...transfer.files];
  const found = await Promise.all(entries.map((entry, n) => (entry?.isDirectory ? filesIn(entry as FileSystemDirectoryEntry) : files[n] ? [files[n]] : [])));
  return found.flat();
}

async function filesIn(folder: FileSystemDirectoryEntry): Promise<File[]> {
  const reader = folder.createReader();
  const found: File[] = [];
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at most
    if (entries.length === 0) return found;
    for (const entry of entries) {
      if (entry.isFile) found.push(await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)));
    }
  }
}

/** What a model of these files is called on the page. */
export function nameOf(files: readonly File[]): string {
  const [first] = files;
  if (!first) return 'nothing';
  const folder = first.webkitRelativePath.split('/')[0];
  return folder || (files.length === 1 ? first.name.replace(/\.gguf$/i, '') : `${first.name} and ${files.length - 1} more`);
}

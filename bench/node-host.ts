import { existsSync } from 'node:fs';
import { availableParallelism, freemem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { filesFromDisk } from '../src/platform/disk.js';
import type { Host } from './host.js';
import { collectGarbage, residentBytes } from './measure.js';

export const nodeHost: Host = {
  processors: availableParallelism(),
  freeBytes: freemem,
  residentBytes,
  collectGarbage,
  async open(path) {
    const place = fileURLToPath(new URL(`../${path}`, import.meta.url));
    return existsSync(place) ? filesFromDisk(place) : undefined;
  },
};

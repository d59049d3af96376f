import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { repository } from './support/files.js';

interface PackageJson {
  name: string;
  sideEffects: string[];
  files: string[];
  bin: Record<string, string>;
  devDependencies: Record<string, string>;
  [key: string]: unknown;
}

async function sources(folder: string): Promise<string[]> {
  const entries = await readdir(repository(folder), { recursive: true });
  return entries.filter((name) => name.endsWith('.ts')).map((name) => join(folder, name)).sort();
}

/** [importer, imported] for every import and re-export, types included. */
async function imports(file: string): Promise<string[]> {
  const text = await readFile(repository(file), 'utf8');
  return [...text.matchAll(/(?:^|\n)(?:import|export)\b[^;'"]*?from '([^']+)'|\bimport\('([^']+)'\)/g)].map((m) => (m[1] ?? m[2])!);
}

describe('package.json', () => {
  it('has no dependencies beyond the dev tools', async () => {
    const json = JSON.parse(await readFile(repository('package.json'), 'utf8')) as PackageJson;
    for (const key of ['dependencies', 'optionalDependencies', 'peerDependencies']) expect(json[key]).toBeUndefined();
    expect(Object.keys(json.devDependencies).sort()).toEqual(['@types/node', 'tsx', 'typescript', 'vitest']);
    // Programs of workers: nothing imports them.
    expect(json.sideEffects).toEqual(['./dist/worker/program.js', './dist/kernels/wasm/kernel-thread.js']);
  });
});

describe('the sources', () => {
  it('import only each other, and node: in the CLI alone', async () => {
    for (const file of await sources('src')) {
      for (const imported of await imports(file)) {
        if (file.startsWith('src/cli/') && imported.startsWith('node:')) continue;
        // platform/node.ts names Node's types; the modules themselves it asks the engine for.
        if (file === 'src/platform/node.ts' && imported.startsWith('node:')) continue;
        expect(imported, file).toMatch(/^\.{1,2}\/.*\.js$/);
      }
    }
    const platform = await readFile(repository('src/platform/node.ts'), 'utf8');
    expect(platform).not.toMatch(/^import .*'node:|await import\(/m);
    // What the network needs comes when it is needed: a page that brings its own files does not load it.
    for (const file of await sources('src')) {
      const eager = [...(await readFile(repository(file), 'utf8')).matchAll(/^(?:import|export) (?!type).* from '(.*)'/gm)].map((m) => m[1]!);
      if (!file.startsWith('src/sources/hub/') && file !== 'src/index.ts') expect(eager.filter((name) => name.includes('hub/')), file).toEqual([]);
      expect(eager.filter((name) => /remote|disk-store/.test(name)).filter(() => !/cache-admin/.test(file)), file).toEqual([]);
    }
  });

  it('depend one way: each room imports from those above it in the map of CONTRIBUTING.md, and everything in src is on the map', async () => {
    const map = (await readFile(repository('CONTRIBUTING.md'), 'utf8')).match(/```text\n([^`]*)```/)![1]!;
    const order = [...map.matchAll(/^src\/(\S+)/gm)].map((line) => line[1]!);
    const roomOf = (path: string): string => path.split('/')[1]!;
    const rooms = new Set((await sources('src')).map(roomOf));
    expect([...order].sort()).toEqual([...rooms].sort());
    for (const file of await sources('src')) {
      for (const imported of (await imports(file)).filter((name) => name.startsWith('.'))) {
        const target = relative(repository('.'), resolve(dirname(repository(file)), imported.replace(/\.js$/, '.ts')));
        expect(order.indexOf(roomOf(target)), `${file} imports ${target}`).toBeLessThanOrEqual(order.indexOf(roomOf(file)));
        if (roomOf(file) === 'cli' && roomOf(target) !== 'cli') expect(['src/index.ts', 'src/server/index.ts'], file).toContain(target); // a user of the public API
      }
    }
  });

  it('have no cycles', async () => {
    const graph = new Map<string, string[]>();
    for (const file of await sources('src')) {
      const targets = (await imports(file)).filter((name) => name.startsWith('.'));
      graph.set(file, targets.map((name) => relative(repository('.'), resolve(dirname(repository(file)), name.replace(/\.js$/, '.ts')))));
    }
    const done = new Set<string>();
    const visit = (file: string, path: string[]): void => {
      expect(path, `cycle: ${[...path, file].join(' → ')}`).not.toContain(file);
      if (done.has(file)) return;
      for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
      done.add(file);
    };
    for (const file of graph.keys()) visit(file, []);
  });
});

import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repository } from './files.js';

const run = promisify(execFile);

export interface Packed {
  /** An empty project in which the package has been installed. */
  readonly folder: string;
  /** node_modules/matmulfree in it. */
  readonly installed: string;
  /** What `npm pack` made. */
  readonly tarball: string;
  /** Bytes of the tarball, and of what is in it. */
  readonly packedBytes: number;
  readonly unpackedBytes: number;
  /** Paths in the tarball. */
  readonly files: readonly string[];
  remove(): Promise<void>;
}

/** Builds the package with a plain tsc, packs it, and installs the tarball: what a user of the registry gets. `untyped`: sooner, without declarations. */
export async function installPackage({ untyped = false } = {}): Promise<Packed> {
  const temporary = await mkdtemp(join(tmpdir(), 'matmulfree-package-'));
  const [source, folder] = [join(temporary, 'source'), join(temporary, 'project')];
  await mkdir(folder);
  // A copy, so that the repository's own dist stays as it is.
  for (const file of ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE', 'examples']) {
    await cp(repository(file), join(source, file), { recursive: true });
  }
  if (untyped) await cp(repository('.built/src'), join(source, 'dist'), { recursive: true });
  else await run(process.execPath, [repository('node_modules/typescript/bin/tsc'), '-p', repository('tsconfig.json'), '--outDir', join(source, 'dist')]);
  const npm = (...args: string[]) => run('npm', [...args, '--offline', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder });
  const { stdout } = await npm('pack', source, '--json');
  const [{ filename, size, unpackedSize, files }] = JSON.parse(stdout) as [{ filename: string; size: number; unpackedSize: number; files: { path: string }[] }];
  await writeFile(join(folder, 'package.json'), '{"type": "module", "private": true}');
  await npm('install', join(folder, filename));
  const modules = (await readdir(join(folder, 'node_modules'))).filter((name) => !name.startsWith('.'));
  if (modules.join() !== 'matmulfree') throw new Error(`the package brings others along: ${modules.join(', ')}`);
  return {
    folder,
    installed: join(folder, 'node_modules/matmulfree'),
    tarball: join(folder, filename),
    packedBytes: size,
    unpackedBytes: unpackedSize,
    files: files.map(({ path }) => path),
    remove: () => rm(temporary, { recursive: true }),
  };
}

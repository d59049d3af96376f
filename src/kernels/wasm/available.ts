import type { BackendName } from '../kernels.js';
import { findBackends } from './probe.js';
import { testedModule } from './tested-module.js';

/** Why this engine lacks, may not run, or must not use a backend, by name. */
export async function unavailableWasmBackends(): Promise<Partial<Record<BackendName, string>>> {
  return (await testAll()).reasons;
}

/** All others and the scalar one, slowest first. */
export async function availableWasmBackends(): Promise<BackendName[]> {
  const { there, reasons } = await testAll();
  return ['scalar', ...there.filter((name) => reasons[name] === undefined).reverse()];
}

async function testAll(): ReturnType<typeof findBackends> {
  const found = await findBackends();
  for (const name of found.there) {
    const { fault } = await testedModule(name, false, false);
    if (fault !== undefined) found.reasons[name] = fault;
  }
  return found;
}

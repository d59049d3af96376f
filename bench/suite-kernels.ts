import { createKernels, createScalarKernels, type BackendName } from 'matmulfree';
import { createFloatKernels } from './baselines/create.js';
import { checkResults, floatCandidates, randomProblem, shapes, ternaryCandidates } from './kernel-candidates.js';
import { median, takeTurns } from './measure.js';
import { counted, speed, type Result } from './results.js';
import { createRoof } from './roof.js';

export interface KernelSettings {
  /** The backend of both sides; JavaScript takes part as well. */
  readonly backend: Exclude<BackendName, 'scalar'>;
  /** Shapes whose name contains that. */
  readonly only: string;
  readonly rounds: number;
  readonly roundMs: number;
}

/** Products of one layer, one thread, with what the machine can do at most in the same rounds. */
export async function measureKernels({ backend, only, rounds, roundMs }: KernelSettings, onResult: (result: Result) => void): Promise<void> {
  const scalar = createScalarKernels(); // one for all shapes, as a program has one for its model
  const roof = await createRoof(1);
  for (const shape of shapes().filter(({ name }) => name.includes(only))) {
    const problem = randomProblem(shape);
    const ternary = await createKernels({ backend, threads: 1 });
    const floats = await Promise.all((['js', backend] as const).map((name) => createFloatKernels({ backend: name, threads: 1 })));
    const candidates = [...floats, scalar, ternary].flatMap((kernels) => (
      kernels.backend === 'js' || 'matmul' in kernels ? floatCandidates(kernels, problem) : ternaryCandidates(kernels, problem)
    ));
    checkResults(candidates, problem);
    const times = takeTurns([...candidates.map(({ run }) => run), roof.read.run, roof.compute.run], { rounds, roundMs });
    const [read, compute] = times.slice(candidates.length).map(median);
    const bytesPerMs = roof.read.bytes / read;
    const operationsPerMs = roof.compute.operations / compute;
    candidates.forEach(({ label, tokens, bytes, kind }, n) => {
      const id = `kernels/${shape.name}/${label}`;
      const products = shape.rows * shape.columns * tokens;
      onResult(speed(id, 'MAC/s', products, times[n], 1));
      onResult(counted(`${id}/share of bandwidth`, '', bytes / median(times[n]) / bytesPerMs, 'higher', 0.1));
      if (kind !== 'ternary') onResult(counted(`${id}/share of float operations`, '', (2 * products) / median(times[n]) / operationsPerMs, 'higher', 0.1));
    });
    ternary.dispose();
    for (const kernels of floats) kernels.dispose();
  }
  roof.dispose();
}

import type { GenerateResult } from 'matmulfree';

/** Everything that a generator gives, and what it returns. */
export async function collect<T>(generator: AsyncGenerator<T, GenerateResult, undefined>): Promise<{ all: T[]; result: GenerateResult }> {
  const all: T[] = [];
  for (;;) {
    const step = await generator.next();
    if (step.done) return { all, result: step.value };
    all.push(step.value);
  }
}

export async function textOf(generator: AsyncGenerator<string, GenerateResult, undefined>): Promise<string> {
  return (await collect(generator)).all.join('');
}

/** Seeded pseudo-random numbers for tests: a linear congruential generator, so that a printed seed repeats a failure. */
export function randomFrom(seed: number): { unit(): number; integer(min: number, max: number): number; normal(): number } {
  let state = BigInt(seed) * 2n + 1n;
  const unit = (): number => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 64n) - 1n);
    return Number(state >> 33n) / 2 ** 31;
  };
  return {
    unit,
    integer: (min, max) => min + Math.floor(unit() * (max - min + 1)),
    normal: () => Math.sqrt(-2 * Math.log(1 - unit())) * Math.cos(2 * Math.PI * unit()),
  };
}

/** A new seed for each run of the suite; it stands in the test's name. `SEED=n` repeats one. */
export function freshSeed(): number {
  return process.env['SEED'] === undefined ? Date.now() % 1_000_000_007 : Number(process.env['SEED']);
}

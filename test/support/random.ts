/** Seeded pseudo-random numbers for tests: Knuth's 64-bit linear congruential generator, so that a printed seed repeats a failure. */
export function randomFrom(seed: number): { unit(): number; integer(min: number, max: number): number; normal(): number } {
  const start = BigInt(seed) * 2n + 1n;
  let high = Number(BigInt.asIntN(32, start >> 32n));
  let low = Number(BigInt.asIntN(32, start));
  // state · 6364136223846793005 + 1442695040888963407 in 16-bit digits: tests draw millions of them, and a BigInt takes eight times as long.
  const unit = (): number => {
    const first = low & 0xffff;
    const second = low >>> 16;
    const bottom = first * 0x7f2d;
    const middle = first * 0x4c95 + (bottom >>> 16);
    const above = second * 0x7f2d + (middle & 0xffff);
    const sum = (above & 0xffff) * 0x10000 + (bottom & 0xffff) + 0xf767814f;
    const carried = (middle >>> 16) + (above >>> 16) + (sum > 0xffff_ffff ? 1 : 0);
    high = (Math.imul(second, 0x4c95) + Math.imul(high, 0x4c957f2d) + Math.imul(low, 0x5851f42d) + 0x14057b7e + carried) | 0;
    low = sum | 0;
    return (high >>> 1) / 2 ** 31;
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

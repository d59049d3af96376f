import { expect, it } from 'vitest';
import { exp, log, powerOfTwo } from '../../src/platform/numeric.js';

it('exp agrees with the platform to 1e-15', () => {
  for (let x = -700; x < 700; x += 0.7311) expect(Math.abs(exp(x) / Math.exp(x) - 1)).toBeLessThan(1e-15);
  expect(exp(0)).toBe(1);
  expect(exp(-0)).toBe(1);
  expect(exp(-1000)).toBe(0);
  expect(exp(-Infinity)).toBe(0);
  expect(exp(1000)).toBe(Infinity);
  expect(exp(-745)).toBe(Math.exp(-745));
  expect(exp(NaN)).toBeNaN();
});

it('log agrees with the platform to 1e-15', () => {
  for (let e = -1074; e < 1023; e += 3.37) {
    const x = 2 ** e;
    expect(Math.abs(log(x) - Math.log(x))).toBeLessThanOrEqual(1e-15 * Math.abs(Math.log(x)));
  }
  for (let x = 0.5; x < 2; x += 0.00137) expect(Math.abs(log(x) - Math.log(x))).toBeLessThan(2e-16);
  expect(log(1)).toBe(0);
  expect(log(0)).toBe(-Infinity);
  expect(log(-1)).toBeNaN();
  expect(log(Infinity)).toBe(Infinity);
  expect(log(NaN)).toBeNaN();
});

it('powers of two are exact', () => {
  for (const n of [-1022, -127, -126, -1, 0, 1, 24, 127, 1022]) expect(powerOfTwo(n)).toBe(2 ** n);
});

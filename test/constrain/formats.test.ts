import { describe, expect, it } from 'vitest';
import { compileJsonSchema } from '../../src/constrain/compile.js';
import { freshSeed } from '../support/random.js';
import { accepts, bytesAlone, generate, randomOf } from './helpers.js';
import { complaint } from './json-schema-checker.js';

const tokenizer = bytesAlone();

/** Valid texts that are written, and invalid ones: most are from optional/format of the JSON-Schema-Test-Suite, others agree with ajv-formats. */
const FORMATS: Record<string, [valid: string[], invalid: string[]]> = {
  date: [
    ['1963-06-19', '2020-01-31', '2021-02-28', '2020-02-29', '2000-02-29', '0000-02-29', '1600-02-29', '2024-12-31', '9999-12-31'],
    ['2020-01-32', '2021-02-29', '2020-02-30', '1900-02-29', '2100-02-29', '2020-04-31', '2020-06-31', '2020-09-31', '2020-11-31', '2020-00-01', '2020-13-01',
      '2020-01-00', '06/19/1963', '2013-350', '1998-1-20', '1998-01-1', '98-01-01', '1963-06-1\u09ea', '20230328', '2023-W01', '2023-W13-2', '1963-06-19Z', ''],
  ],
  time: [
    ['08:30:06Z', '23:20:50.52Z', '08:30:06.283185Z', '08:30:06+00:20', '08:30:06-08:00', '01:29:59+01:30', '00:00:00-23:59', '23:59:59+23:59', '08:30:06-00:00'],
    ['008:030:006Z', '8:3:6Z', '8:0030:6Z', '22:59:60Z', '23:59:61Z', '23:59:60+01:00', '23:59:60-01:00', '00:29:60+01:30', '01:30:00+24:00', '01:30:00+01:60', '24:00:00Z', '00:60:00Z',
      '00:00:61Z', '12:00:00', '08:30:06 PST', '01:01:01,1111', '08:30:06-8:00', '08:30:06Z+00:30', '1\u09e82:00:00Z', '08:30:06#00:20', 'ab:cd:ef', '12:00:00.Z', '12:00Z', '12:00:00+0100'],
  ],
  'date-time': [
    ['1963-06-19T08:30:06.283185Z', '1963-06-19T08:30:06Z', '1937-01-01T12:00:27.87+00:20', '1990-12-31T15:59:50.123-08:00', '2020-02-29T00:00:00Z'],
    ['1998-12-31T23:59:61Z', '1998-12-31T23:58:60Z', '1998-12-31T22:59:60Z', '1990-02-31T15:59:59.123-08:00', '1990-12-31T15:59:59-24:00', '1963-06-19T08:30:06.28123+01:00Z', '06/19/1963 08:30:06 PST',
      '2013-350T01:01:01', '1963-6-19T08:30:06.283185Z', '1963-06-1T08:30:06.283185Z', '1963-06-1\u09eaT00:00:00Z', '1963-06-11T0\u09ea:00:00Z', '+11963-06-19T08:30:06.283185Z',
      '2021-02-29T00:00:00Z', '2020-01-01', '2020-01-01T', 'T08:30:06Z', '2020-01-01T24:00:00Z'],
  ],
  duration: [
    ['P4DT12H30M5S', 'P4Y', 'PT0S', 'P0D', 'P1M', 'PT1M', 'PT36H', 'P1DT12H', 'P2W', 'P1Y2M3D', 'PT1H2M3S', 'PT5M7S', 'P1Y2M3DT4H5M6S'],
    ['PT1D', '4DT12H30M5S', 'P', 'P1YT', 'PT', 'P2D1Y', 'P1D2H', 'P2S', 'P1Y2W', 'P2\u09eaY', 'P1', 'P1Y2D', 'PT1H2S', 'P-1D', 'P1.5D', 'PT0.5S', 'P1M1Y', 'p1d'],
  ],
  uuid: [
    ['2eb8aa08-aa98-11ea-b4aa-73b441d16380', '98d80576-482e-427f-8434-7f86890ab222', '00000000-0000-0000-0000-000000000000', '99c17cbb-656f-f64a-940f-1a4568f03487'],
    ['2eb8aa08-aa98-11ea-b4aa-73b441d1638', '2eb8aa08-aa98-11ea-73b441d16380', '2eb8aa08-aa98-11ea-b4ga-73b441d16380', '2eb8aa08aa9811eab4aa73b441d16380', '2eb8aa08aa98-11ea-b4aa73b441d16380',
      '2eb8-aa08-aa98-11ea-b4aa73b44-1d16380', '-2eb8aa08-aa98-11ea-b4aa-73b441d16380', '{2eb8aa08-aa98-11ea-b4aa-73b441d16380}'],
  ],
  ipv4: [
    ['192.168.0.1', '87.10.0.1', '0.0.0.0', '255.255.255.255', '1.22.199.200'],
    ['127.0.0.0.1', '256.256.256.256', '127.0', '0x7f000001', '2130706433', '087.10.0.1', '01.2.3.4', '1\u09e87.0.0.1', '192.168.1.0/24', ' 192.168.0.1', '192.168.0.1 ', '1.2.3.', '1..2.3', '1.2.3.300'],
  ],
  hostname: [
    ['www.example.com', 'example.com', 'a-b.c', 'hostname', 'h0stn4me', 'host-name', '1host', '3com.example', 'a'],
    ['-a-host-name-that-starts-with--', 'not_a_valid_host_name', 'a-vvvvvvvvvvvvvvvveeeeeeeeeeeeeeeerrrrrrrrrrrrrrrryyyyyyyyyyyyyyyy-long-host-name-component', '-hostname', 'hostname-', '_hostname', 'hostname_',
      'host_name', `${'a'.repeat(64)}.com`, `${`${'a'.repeat(60)}.`.repeat(4)}${'a'.repeat(20)}`, '', '.', '.example', 'example.', 'a..b', 'XN--aa---o47jg78q', 'xn--X', 'xn--hello-txk', 'ab--cd', 'example.ab--cd', '1.2.3.4', 'a b', 'é.com'],
  ],
  email: [
    ['joe.bloggs@example.com', 'te-st@example.com', 'user+tag@sub.example.org', 'a_b@c.de'],
    ['2962', '.test@example.com', 'test.@example.com', 'te..st@example.com', 'joe.bloggs@invalid=domain.com', 'joe@', '@example.com', 'a@b@c.de', 'joe bloggs@example.com', 'joe@-example.com', 'joe@example-.com', 'joe@example..com', 'joe@.com'],
  ],
};

describe('format', () => {
  const seed = freshSeed();

  it.each(Object.entries(FORMATS))(`%s writes what is valid, and nothing else (seed ${seed})`, (format, [valid, invalid]) => {
    const constraint = compileJsonSchema({ type: 'string', format }, tokenizer);
    for (const text of valid) expect(accepts(constraint, tokenizer, JSON.stringify(text)), text).toBe(true);
    for (const text of invalid) expect(accepts(constraint, tokenizer, JSON.stringify(text)), text).toBe(false);
    // The checker knows these too, so that what it says of others counts.
    for (const text of valid) expect(complaint({ format }, text), text).toBeUndefined();
    for (const text of invalid) expect(complaint({ format }, text), text).toBeDefined();
    const random = randomOf(seed);
    for (let run = 0; run < 8; run++) {
      const { text, ended } = generate(constraint, tokenizer, [tokenizer.tokenToId('a')!], random);
      if (ended) expect(complaint({ format }, JSON.parse(text)), text).toBeUndefined();
    }
  });

  it('date has the leap days of four centuries', () => {
    const constraint = compileJsonSchema({ format: 'date' }, tokenizer);
    for (let year = 1800; year < 2200; year += year % 4 === 0 ? 1 : 3) {
      const hasLeapDay = new Date(Date.UTC(year, 1, 29)).getUTCMonth() === 1;
      expect(accepts(constraint, tokenizer, `"${year}-02-29"`), String(year)).toBe(hasLeapDay);
    }
  });
});

import { expect, it } from 'vitest';
import { publishedModels } from 'matmulfree';
import { cli } from '../support/run.js';

it('lists each model with what it takes, its licence and what it is good for', async () => {
  const { code, stdout, stderr } = await cli('models');
  expect([code, stderr]).toEqual([0, '']);
  for (const { source, family, goodFor, licence } of await publishedModels()) {
    expect(stdout).toContain(`${family}: ${goodFor}. Licence: ${licence}.`);
    expect(stdout).toContain(`  ${source} `);
  }
  expect(stdout).toMatch(/Ternary-Bonsai-1\.7B-Q2_0\.gguf +1\.7B {2}463 MB on disk {2}484 MB in memory \+ 115 MB for 1,000 tokens\n/);
  expect(stdout).toMatch(/MMfreeLM-370M +374M {2}748 MB on disk {2}151 MB in memory \+ 98 kB for a text of any length\n/);
  expect(stdout).toMatch(/Falcon3-10B.*; room for some [\d,]+00 tokens \(--context-tokens\)\n/);
  expect(stdout).toContain('it was tried on files of the same form');
});

it('as JSON, and --help; it takes no names', async () => {
  const [json, help, extra] = await Promise.all([cli('models', '--json'), cli('models', '--help'), cli('models', 'bonsai')]);
  expect(JSON.parse(json!.stdout)).toEqual(JSON.parse(JSON.stringify(await publishedModels())));
  expect(help!.stdout).toMatch(/^Usage: matmulfree models \[--json\]\n/);
  expect(extra).toMatchObject({ code: 2, stderr: 'matmulfree: unexpected argument "bonsai"; see matmulfree models --help\n' });
});

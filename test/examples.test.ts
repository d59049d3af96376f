import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { fixture } from './support/files.js';
import { runScript } from './support/run.js';

it('generate', async () => {
  const { code, stdout } = await runScript('examples/generate.ts', ['The dragon']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^The dragon .{100,}\n$/s);
});

it('convert', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'matmulfree-'));
  try {
    const { code, stdout } = await runScript('examples/convert.ts', [fixture('models/bf16-sharded'), join(folder, 'out.gguf')]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/743,168 parameters\n.*out\.gguf: same logits: true\n$/s);
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('score', async () => {
  const { code, stdout } = await runScript('examples/score.ts');
  expect(code).toBe(0);
  const [natural, shuffled] = [...stdout.matchAll(/perplexity ([\d.]+)/g)].map((match) => Number(match[1]));
  expect(natural).toBeLessThan(shuffled! / 10);
});

it('choose', async () => {
  const { code, stdout } = await runScript('examples/choose.ts');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^hammer .*\ncarrot .* ←\ntrain .*\n\n12 items, 100 % right\n\ncat and kitten 0\.8\d, cat and party 0\.7\d\n$/);
});

it('save-and-fork', async () => {
  const { code, stdout } = await runScript('examples/save-and-fork.ts');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^21 tokens read, 8224 bytes saved\n\n\.\.\.a big cat.+\n\n\.\.\.a big elephant.+\n\n$/s);
});

it('compose', async () => {
  const { code, stdout } = await runScript('examples/compose.ts');
  expect(code).toBe(0);
  expect(stdout).toBe('8 blocks composed by hand; same logits as MatMulFreeLM: true\n');
});

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { fixture } from './support/files.js';
import { runScript, startScript } from './support/run.js';

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

it('session', async () => {
  const { code, stdout } = await runScript('examples/session.ts');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^The robot .+\n- rain: .+\n- dragon: .+\n- ".+\n- ".+\n32 tokens of text saved in 8368 bytes\n.+\(0 of 191 .+\n.+\(128 of 190 .+\n$/s);
});

it('batch', async () => {
  const { code, stdout } = await runScript('examples/batch.ts');
  expect(code).toBe(0);
  expect(stdout.match(/^\(seed [1-4], length\) …/gm)?.length).toBe(4);
  expect(stdout.match(/^ +-\d+\.\d\d … \w+/gm)?.length).toBe(3);
});

it('sampling', async () => {
  const { code, stdout } = await runScript('examples/sampling.ts');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^no "happy" .+…(?!.*happy)/m);
  expect(/^a lipogram +…(.+)$/m.exec(stdout)?.[1]).not.toContain('e');
  expect(stdout).toMatch(/^" time,"\s+93\.1 %  of ▁time, 93\.1 %/m);
});

it('speculate', async () => {
  const { code, stdout } = await runScript('examples/speculate.ts');
  expect(code).toBe(0);
  expect(stdout).toMatch(/[1-9]\d+ of [1-9]\d+ guesses right\nsame text: true\n$/);
});

it('constrained', async () => {
  const { code, stdout } = await runScript('examples/constrained.ts');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Tom was very (happy|sad|hungry)\.\nIt happened on (Monday|Friday|Sunday), May \d+, 20\d\d\.\n/);
  expect(Object.keys(JSON.parse(stdout.slice(stdout.indexOf('{'))) as object)).toEqual(['name', 'animal', 'age', 'likes']);
});

it('compose', async () => {
  const { code, stdout } = await runScript('examples/compose.ts');
  expect(code).toBe(0);
  expect(stdout).toBe('8 blocks composed by hand; same logits as MatMulFreeLM: true\n' +
    'a hybrid read 10 tokens: 7168 bytes of states, 2048 bytes of keys and values for each of the last 16 tokens\n');
});

it('architecture', async () => {
  const { code, stdout } = await runScript('examples/architecture.ts');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^243904 parameters; a text takes 768 bytes, and 192 for each of its last 32 tokens\nit writes: (\d+ ){20}…\na fork goes on as .*: true\n$/);
});

it('chat', async () => {
  const { code, stdout } = await startScript('examples/chat.ts', [], { input: 'Once upon a time, a dragon\n\nThen it rained, and the dragon\n' }).ended;
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Ctrl-D ends it\.\n> [^\n]{50,}\n> \n> [^\n]{50,}\n> \n4 messages, \d+ tokens\n$/);
});

it('server', async () => {
  const { code, stdout } = await runScript('examples/server.ts');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^The dragon .+ … \(30 tokens\)\n\nA small cat .+ … \(30 tokens\)\n\nOne night.+ … \(30 tokens\)\ndata: \{.+\}\n\ndata: \[DONE\]\n\n$/s);
});

it('tools', async () => {
  const { code, stdout } = await runScript('examples/tools.ts');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^the model calls get_weather\(\{"place":"(garden|forest|sea)","hour":\d+\}\)\nit is told \{.*"sky":"sunny".*\}, and answers:\n.*\nroles: user, assistant, tool, assistant\n$/s);
});

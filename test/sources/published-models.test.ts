import { expect, it } from 'vitest';
import { publishedModels } from 'matmulfree';
import { parseHubLocation } from '../../src/sources/hub/names.js';

const models = await publishedModels();
const named = (name: string): (typeof models)[number] => models.find(({ source }) => source.includes(name))!;

/** Bytes of the published files, in all: from the Hub's own listings, and from cards that tell them. */
it.each([
  ['Ternary-Bonsai-4B-Q2_0.gguf', 1_074_969_344], ['Ternary-Bonsai-8B-Q2_0.gguf', 2_182_184_672],
  ['/Bonsai-1.7B-Q1_0.gguf', 248_302_272], ['/Bonsai-4B-Q1_0.gguf', 572_270_624], ['/Bonsai-8B-Q1_0.gguf', 1_158_654_496],
  ['Bonsai-2-2B', 0.499e9 + 9.7e6], ['Bonsai-2-4B', 1.116e9 + 9.7e6], ['Bonsai-2-9B', 2.376e9 + 9.7e6],
  ['bitnet-b1.58-2B-4T', 1_178_623_988], ['Falcon-E-1B', 665e6], ['Falcon-E-3B', 999e6], ['Falcon3-1B', 1.36e9], ['Falcon3-10B', 3.99e9],
  ['Llama3-8B', 3.85e9], ['bitnet_b1_58-large', 2.92e9], ['MMfreeLM-370M', 748e6], ['MMfreeLM-2.7B', 4.98e9 + 429e6],
] as const)('%s takes %d bytes on disk, to half a percent', (name, bytes) => {
  expect(named(name).diskBytes / bytes).toBeGreaterThan(0.995);
  expect(named(name).diskBytes / bytes).toBeLessThan(1.005);
});

it('counts parameters as their authors do', () => {
  const ternary = { 'Ternary-Bonsai-1.7B': 1_719_904_256, 'Ternary-Bonsai-4B': 4_021_588_480, 'Ternary-Bonsai-8B': 8_188_239_872 };
  for (const [name, count] of Object.entries(ternary)) expect(named(name).parameters, name).toBe(count);
  for (const [name, millions] of [['TriLM_560M', 569], ['Bonsai-2-2B', 1880], ['Bonsai-2-4B', 4201], ['Bonsai-2-9B', 8946], ['Llama3-8B', 8030]] as const) {
    expect(Math.round(named(name).parameters / 1e6), name).toBe(millions);
  }
});

it('memory: two bits a weight, the scales of groups, float tables; 16-bit keys and values', () => {
  const values = { 'Ternary-Bonsai-1.7B': 57_344, 'Ternary-Bonsai-4B': 73_728, '/Bonsai-8B': 73_728 }; // of keys and values, for a token
  for (const [name, count] of Object.entries(values)) {
    expect(named(name).bytesPer1000Tokens, name).toBe(count * 2 * 1000);
    expect(named(name).memoryBytes, name).toBe((named(name).parameters * (2 + 32 / 128)) / 8);
  }
  expect(named('/Bonsai-1.7B').memoryBytes).toBe(named('Ternary-Bonsai-1.7B').memoryBytes);
  // As `info` tells of a model of that shape (bench/bonsai.ts), and bonsai.md: 18.9 and 50.3 MB of matrices, and the convolutions.
  expect(named('Bonsai-2-2B')).toMatchObject({ bytesPer1000Tokens: 6144 * 2 * 1000, stateBytes: 18_874_368 + 18 * 3 * 6144 * 4 });
  expect(named('Bonsai-2-4B')).toMatchObject({ bytesPer1000Tokens: 16_384 * 2 * 1000, stateBytes: 50_331_648 + 24 * 3 * 8192 * 4 });
  expect(named('MMfreeLM-370M')).toMatchObject({ bytesPer1000Tokens: 0, stateBytes: 24 * 1024 * 4, roomForTokens: Infinity });
  expect(named('MMfreeLM-370M').memoryBytes).toBe((24 * (4 * 1024 ** 2 + 3 * 1024 * 2816) + 32_000 * 1024) / 4 + 32_000 * 1024 * 2);
  for (const { memoryBytes, bytesPer1000Tokens, roomForTokens, source } of models) {
    if (roomForTokens !== Infinity) expect(memoryBytes + (roomForTokens * bytesPer1000Tokens) / 1000, source).toBeLessThan(2 ** 32);
    expect(roomForTokens, source).toBeGreaterThan(500);
  }
});

it('names what load takes, each once, and says for each what was tried', () => {
  expect(new Set(models.map(({ source }) => source)).size).toBe(models.length);
  for (const { source, goodFor, licence, family, tried } of models) {
    expect(parseHubLocation(source, 'https://huggingface.co'), source).toBeDefined();
    expect([goodFor, licence, family].every((text) => text.length > 2), source).toBe(true);
    expect(tried).toBe('files of the same form');
  }
});

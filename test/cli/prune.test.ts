import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MatMulFreeLM, measureLayers, type LayerSimilarities } from 'matmulfree';
import { EMBEDDED } from '../support/files.js';
import { cli, cliWith, stdinOf } from '../support/run.js';
import { folder as checkpoint, EXAMPLES } from '../prune/models.js';
import { qwen35Folder, randomQwen35 } from '../support/qwen35.js';

const TEXT = 'Once upon a time there was a little girl named Lily. She had a dog. The dog ran away, and Lily was sad. Then she heard a bark.';

let folder: string;
let text: string;
let measured: LayerSimilarities;
let perplexity: number;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'matmulfree-'));
  text = join(folder, 'story.txt');
  await writeFile(text, TEXT);
  const lm = await MatMulFreeLM.load(EMBEDDED);
  measured = await measureLayers(lm, TEXT);
  ({ perplexity } = await lm.perplexity(TEXT));
  lm.dispose();
});
afterAll(() => rm(folder, { recursive: true }));

/** The layers that change least. */
const least = (part: 'tokenMixer' | 'channelMixer', count: number): number[] =>
  [...measured.layers].sort((a, b) => b[part]! - a[part]!).slice(0, count).map(({ layer }) => layer).sort((a, b) => a - b);

describe('prune', () => {
  it('shows how similar input and output of each part are, as a table, a picture, and JSON', async () => {
    const svg = join(folder, 'layers.svg');
    const table = await cli('prune', '--text-file', text, '--svg', svg);
    expect(table).toMatchObject({ code: 0, stderr: '' });
    for (const { layer, tokenMixer, channelMixer, block } of measured.layers) {
      expect(table.stdout).toMatch(new RegExp(`^ +${layer}  mlgru +${tokenMixer!.toFixed(4)} +${channelMixer!.toFixed(4)} +${block!.toFixed(4)}$`, 'm'));
    }
    expect(table.stdout).toMatch(new RegExp(`^perplexity +${perplexity.toFixed(4)}$`, 'm'));
    const picture = await readFile(svg, 'utf8');
    expect(picture).toMatch(/^<svg xmlns.*<\/svg>\n$/s);
    expect(picture.match(/<rect [^>]*fill="#(?:0072b2|d55e00|7f7f7f)"/g)!.length).toBe(3 * measured.layers.length + 3);
    const json = await cliWith({ stdin: stdinOf(TEXT) }, 'prune', '--text-file', '-', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ ...measured, before: { perplexity, state_bytes: 8192 } });
  });

  it('measures before and after, and writes a file that loads', async () => {
    const out = join(folder, 'smaller.gguf');
    const [, second] = least('tokenMixer', 2);
    const run = await cli('prune', '--text-file', text, '--drop', '2', '--out', out, '--svg', join(folder, 'dropped.svg'));
    expect(run).toMatchObject({ code: 0, stderr: expect.stringMatching(/smaller\.gguf: 4\.\d MB\n$/) as unknown });
    const lm = await MatMulFreeLM.load(out);
    const after = await lm.perplexity(TEXT);
    const state = lm.createState();
    expect(state.byteLength).toBe(6 * 1024);
    lm.dispose();
    expect(run.stdout).toMatch(new RegExp(`^perplexity +${perplexity.toFixed(4)} → ${after.perplexity.toFixed(4)}$`, 'm'));
    expect(run.stdout).toMatch(new RegExp(`^left out +nothing → token mixers of layers ${least('tokenMixer', 2).join(', ')}$`, 'm'));
    expect(run.stdout).toMatch(new RegExp(`^ +${second}  mlgru +0\\.\\d{4} \\*`, 'm'));
    expect((await readFile(join(folder, 'dropped.svg'), 'utf8')).match(/stroke-dasharray/g)!.length).toBe(2);
    // The same without a file, and more of it.
    const tried = JSON.parse((await cli('prune', '--text-file', text, '--drop', '2', '--of', 'token-mixers', '--json')).stdout) as { after: object };
    expect(tried.after).toMatchObject({ perplexity: after.perplexity });
    const again = await cli('prune', '--model', out, '--channel-mixers', '1,0');
    expect(again.stdout).toMatch(/^left out +(token mixers of layers \d, \d) → \1; channel mixers of layers 0, 1$/m);
  });

  it('writes a folder, and takes ids', async () => {
    const model = join(folder, 'tiny');
    await mkdir(model);
    const { config, tensors } = EXAMPLES[2]!;
    for (const [name, bytes] of Object.entries(checkpoint(config, tensors))) await writeFile(join(model, name), bytes);
    const ids = join(folder, 'ids.json');
    await writeFile(ids, '[[1, 2, 3, 4, 5, 6], [7], [8, 9, 10]]');
    const out = join(folder, 'tiny-pruned');
    const run = await cli('prune', '--model', model, '--ids', ids, '--drop', '3', '--of', 'mixers', '--out', out, '--type', 'safetensors');
    expect(run).toMatchObject({ code: 0 });
    expect(run.stdout).toMatch(/^ +1  mlgru .*\n +2  attention /m);
    const json = JSON.parse(await readFile(join(out, 'config.json'), 'utf8')) as { drop_attn_list: number[]; drop_mlp_list: number[] };
    expect(json.drop_attn_list.length + json.drop_mlp_list.length).toBe(3);
    expect((await MatMulFreeLM.load(out)).info().switches.map(({ name }) => name)).toContain('left out');
    expect((await cli('prune', '--model', model, '--ids', ids, '--drop', '1', '--out', out, '--type', 'safetensors')).stderr).toMatch(/there is a folder of that name/);
    expect((await readdir(folder)).filter((name) => name.includes('partial'))).toEqual([]);
  });

  it('has a table whose columns are as wide as the kinds of mixers', async () => {
    const model = join(folder, 'qwen');
    await mkdir(model);
    for (const [name, bytes] of Object.entries(qwen35Folder(randomQwen35()))) await writeFile(join(model, name), bytes as Uint8Array);
    await writeFile(join(folder, 'few.json'), '[[1, 2, 3, 4, 5, 6]]');
    const { stdout } = await cli('prune', '--model', model, '--ids', join(folder, 'few.json'), '--drop', '1');
    const [head, ...rows] = stdout.split('\n').slice(2, 6);
    const ends = ['token mixer', 'channel mixer', 'block'].map((name) => head!.indexOf(name) + name.length);
    expect(rows.map((row) => row.slice(7, 22).trim())).toEqual(['gated-delta-net', 'attention', 'gated-delta-net']);
    for (const row of rows) for (const end of ends) expect(row.slice(end - 6, end)).toMatch(/^[01]\.\d{4}$/);
  });

  it.each<[string[], number, RegExp]>([
    [[], 2, /prune needs a text to measure the layers on: --text-file FILE or --ids FILE\.json; see matmulfree prune --help/],
    [['--drop', '1'], 2, /--drop needs a text/],
    [['--blocks', '1', '--svg', 'x.svg'], 2, /--svg needs a text/],
    [['--text-file', 'a', '--ids', 'b'], 2, /one of them/],
    [['--text-file', 'a', '--drop', '1', '--blocks', '2'], 2, /--drop N, or the layers by name/],
    [['--text-file', 'a', '--drop', '1.5'], 2, /--drop takes a whole number above 0, not "1\.5"/],
    [['--text-file', 'a', '--of', 'blocks'], 2, /--of needs --drop/],
    [['--text-file', 'a', '--drop', '1', '--of', 'layers'], 2, /--of layers: must be token-mixers, channel-mixers, blocks, mixers/],
    [['--blocks', '1,a'], 2, /--blocks takes layers, from 0, with commas between \(2,5,7\), not "1,a"/],
    [['--blocks', '8'], 2, /--blocks 8: there are layers from 0 to 7/],
    [['--text-file', 'a', '--out', 'b.gguf'], 2, /--out needs what to leave out/],
    [['--blocks', '1', '--type', 'TQ1_0'], 2, /--type is of the file that --out names/],
    [['--blocks', '1', '--out', 'b'], 2, /--out b: the name must end in \.gguf, or give --type safetensors for a folder; see/],
    [['--blocks', '1', '--out', 'b.gguf', '--type', 'Q4_0'], 2, /--type Q4_0: must be/],
    [['--text-file', 'no such file', '--drop', '1'], 1, /cannot read no such file/],
  ])('says what is wrong: %j', async (args, code, message) => {
    const run = await cli('prune', ...args);
    expect(run).toMatchObject({ code, stdout: '' });
    expect(run.stderr).toMatch(message);
  });

  it('says so when there are not so many', async () => {
    const run = await cli('prune', '--text-file', text, '--drop', '9');
    expect(run).toMatchObject({ code: 2, stdout: '' });
    expect(run.stderr).toMatch(/--drop 9: there are not so many/);
  });
});

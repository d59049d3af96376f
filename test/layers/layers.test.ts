import { describe, expect, it } from 'vitest';
import {
  allocateWorkspace, ArgumentError, BitLinear, Block, createScalarKernels, Embedding, GLU, measureArena, MLGRU, RMSNorm, type Arena, type Widths,
  type Workspace,
} from 'matmulfree';

const kernels = createScalarKernels();
const widths = { hidden: 8, recurrent: 6, intermediate: 10 };
function createWorkspace(widths: Widths): Workspace {
  const allocate = (arena: Arena) => allocateWorkspace(arena, widths, 2);
  return allocate(kernels.createArena(measureArena(allocate)));
}
const workspace = createWorkspace(widths);
const norm = (width: number): RMSNorm => new RMSNorm(kernels, new Float32Array(width).fill(1), 1e-6);

function linear(rows: number, columns: number, inside = workspace): BitLinear {
  const allocate = (arena: Arena) => kernels.createTernary(arena, rows, columns);
  const matrix = allocate(kernels.createArena(measureArena(allocate)));
  return new BitLinear(kernels, inside, matrix, norm(columns));
}

const glu = (gateProjection: BitLinear, downProjection: BitLinear, inside = workspace): GLU => new GLU(kernels, inside, { gateProjection, downProjection });

const mlgru = (change: Partial<MLGRU['parts']> = {}, inside = workspace): MLGRU => new MLGRU(kernels, inside, {
  inputProjection: linear(6, 8), forgetProjection: linear(6, 8), gateProjection: linear(6, 8), gateNorm: norm(6),
  outputProjection: linear(8, 6), lowerBound: undefined, ...change,
});

describe('layers refuse parts that do not fit, when they are built', () => {
  it.each<[string, () => unknown, RegExp]>([
    ['BitLinear norm', () => new BitLinear(kernels, workspace, linear(3, 8).weight, norm(7)), /norm has 7 elements, needs exactly 8/],
    ['BitLinear wider than the workspace', () => linear(3, 11), /workspace\.q/],
    ['MLGRU gate', () => mlgru({ forgetProjection: linear(5, 8) }), /f_proj output/],
    ['MLGRU gate input', () => mlgru({ gateProjection: linear(6, 7) }), /g_proj input/],
    ['MLGRU norm', () => mlgru({ gateNorm: norm(8) }), /g_norm/],
    ['MLGRU output', () => mlgru({ outputProjection: linear(7, 6) }), /o_proj output/],
    ['MLGRU bound', () => mlgru({ lowerBound: new Float32Array(8) }), /lower bound/],
    ['MLGRU workspace', () => mlgru({}, createWorkspace({ ...widths, recurrent: 3 })), /workspace\.inputGate/],
    ['GLU halves', () => glu(linear(20, 8), linear(8, 9)), /gate_proj output/],
    ['GLU output', () => glu(linear(20, 8), linear(7, 10)), /down_proj output/],
    ['GLU workspace', () => glu(linear(20, 8), linear(8, 10), createWorkspace({ ...widths, intermediate: 2 })), /workspace\.activated/],
    ['Block norms', () => new Block(kernels, workspace, { tokenNorm: norm(8), tokenMixer: mlgru(), channelNorm: norm(6), channelMixer: glu(linear(20, 8), linear(8, 10)) }), /channel norm/],
    ['Embedding', () => new Embedding('F16', new Uint8Array(9), 2, 2), /bytes has 9 elements, needs exactly 8/],
    ['a matrix too wide to be exact', () => kernels.createTernary(kernels.createArena(64), 1, 65537), /65537 columns/],
  ])('%s', (_name, build, message) => {
    expect(build).toThrow(ArgumentError);
    expect(build).toThrow(message);
  });

  it('and more tokens than the workspace holds, when they run', () => {
    const x = new Float32Array(24);
    expect(() => mlgru().forward(x, 3, new Float32Array(6), new Float32Array(24))).toThrow(/3 tokens .* workspace for 2/);
    expect(() => mlgru().forward(x, 2, new Float32Array(6), new Float32Array(16))).not.toThrow();
  });
});

it('an embedding takes its bytes from any offset', () => {
  const file = new Uint8Array(17);
  new DataView(file.buffer).setFloat32(1 + 8, 2.5, true);
  const out = new Float32Array(3);
  new Embedding('F32', file.subarray(1), 2, 2).lookUp(1, out, 1);
  expect([...out]).toEqual([0, 2.5, 0]);
});

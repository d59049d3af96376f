import { createKernels, type BitLinear, type Block, type MLGRU, type GLU } from 'matmulfree';
import { randomModel } from './random-model.js';
const kernels = await createKernels({ backend: 'auto', threads: 1 });
const model = await randomModel(kernels, '370M');
const { blocks, head, workspace: w, logits } = model.parts;
const linears: BitLinear[] = blocks.flatMap((b: Block) => { const m = b.parts.tokenMixer as MLGRU, g = b.parts.channelMixer as GLU; return [m.parts.inputProjection, m.parts.forgetProjection, m.parts.gateProjection, m.parts.outputProjection, g.gateProjection, g.downProjection]; });
linears.push(head);
const out = new Float32Array(32000); const state = model.createState();
const T = Number(process.argv[2] ?? 1);
const ids = Array.from({ length: T }, (_, i) => i + 1);
const m = blocks[0]!.parts.tokenMixer as MLGRU;
const parts: [string, () => void][] = [
  ['whole', () => model.forwardLast(ids, state, out)],
  ['ternary', () => { for (const l of linears) kernels.ternaryMatmul(l.weight, w.q, w.qScales, l === head ? 1 : T, logits); }],
  ['ternary 1024x1024', () => { for (let i = 0; i < linears.length - 1; i++) if (i % 6 < 4) kernels.ternaryMatmul(linears[i]!.weight, w.q, w.qScales, T, logits); }],
  ['ternary gate', () => { for (let i = 0; i < linears.length - 1; i++) if (i % 6 === 4) kernels.ternaryMatmul(linears[i]!.weight, w.q, w.qScales, T, logits); }],
  ['ternary down', () => { for (let i = 0; i < linears.length - 1; i++) if (i % 6 === 5) kernels.ternaryMatmul(linears[i]!.weight, w.q, w.qScales, T, logits); }],
  ['quantize', () => { for (const l of linears) kernels.rmsNormQuantize(w.residual.length > 0 && l.norm.length > 1024 ? w.activated : w.residual, l.norm, 1e-6, T, w.q, w.qScales); }],
  ['norms', () => { for (let i = 0; i < 49; i++) kernels.rmsNorm(w.residual, model.parts.norm.weight, 1e-6, T, w.normed); }],
  ['gru', () => { for (let i = 0; i < 24; i++) kernels.mlgruRecurrence(w.inputGate, w.forgetGate, m.parts.lowerBound, model.parts.liveState[0]!, T, w.inputGate); }],
  ['gated', () => { for (let i = 0; i < 24; i++) kernels.gatedRmsNorm(w.outputGate, m.parts.gateNorm.weight, 1e-6, w.inputGate, T, w.outputGate); }],
  ['swiglu', () => { for (let i = 0; i < 24; i++) kernels.swiglu(w.gateUp, 2816, T, w.activated); }],
  ['add', () => { for (let i = 0; i < 48; i++) kernels.add(w.residual, w.mixed, 1024 * T); }],
  ['copy', () => out.set(logits.subarray(0, 32000))],
];
const times = parts.map((): number[] => []);
for (let r = -3; r < 15; r++) parts.forEach(([, f], i) => { const s = performance.now(); f(); if (r >= 0) times[i]!.push(performance.now() - s); else f(); });
parts.forEach(([n], i) => console.log(n.padEnd(20), (times[i]!.sort((a, b) => a - b)[7]! * 1000).toFixed(0), 'µs', 'min', (times[i]![0]!*1000).toFixed(0)));
console.log(kernels.backend, linears.reduce((s, l) => s + l.weight.rows * l.weight.columns, 0) / 1e6);

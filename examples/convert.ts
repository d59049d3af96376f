/*
 * Load a checkpoint of your own and convert it to one GGUF file: npx tsx examples/convert.ts FOLDER FILE.gguf
 */
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { convert, MatMulFreeLM } from 'matmulfree';

const [folder, file] = process.argv.slice(2);
if (!folder || !file) {
  console.error('usage: npx tsx examples/convert.ts FOLDER FILE.gguf');
  process.exit(2);
}

// A folder as it comes from the Hugging Face Hub: config.json, *.safetensors, tokenizer.json.
const original = await MatMulFreeLM.load(folder, {
  onProgress: ({ loaded, total }) => process.stderr.write(`\rloading ${((loaded / total) * 100).toFixed(0)} %`),
});
process.stderr.write('\n');
console.log(`${original.info().parameters.toLocaleString('en-US')} parameters`);

await pipeline(convert(folder, { type: 'TQ2_0' }), createWriteStream(file));

// The ternary weights are the same, so the logits are, bit for bit.
const converted = await MatMulFreeLM.load(file);
const ids = [1, 2, 3];
const before = original.forward(ids, original.createState());
const after = converted.forward(ids, converted.createState());
console.log(`${file}: same logits: ${before.every((value, i) => Object.is(value, after[i]))}`);

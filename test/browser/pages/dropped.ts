import { MatMulFreeWorker } from 'matmulfree/worker';

/** Takes what is dropped on the page, and writes with it. */
export default async function dropped(): Promise<{ names: string[]; text: string; threads: number }> {
  document.body.style.height = '100vh';
  document.body.addEventListener('dragover', (event) => event.preventDefault());
  const files = await new Promise<File[]>((resolve) => {
    document.body.addEventListener('drop', (event) => {
      event.preventDefault();
      resolve([...event.dataTransfer!.files]);
    });
    document.title = 'ready';
  });
  const lm = await MatMulFreeWorker.load(files, { threads: 2 });
  let text = '';
  for await (const piece of lm.generateIds([1, 2, 3], { maxNewTokens: 10 })) text += `${piece} `;
  const { threads } = lm;
  lm.dispose();
  return { names: files.map(({ name }) => name).sort(), text, threads };
}

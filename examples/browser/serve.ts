/*
 * Serves the page: npm run web, or npx tsx examples/browser/serve.ts --port 8370
 */
import { parseArgs } from 'node:util';
import { serveSite } from './server.js';

const USAGE = `npm run web -- [--port 8370] [--no-isolation]

--port N         another port; 0 for any that is free
--no-isolation   without the headers that let the page use several threads, as on many a web server
`;

async function main(): Promise<number | undefined> {
  let options: { port?: string; 'no-isolation'?: boolean; help?: boolean };
  try {
    options = parseArgs({ options: { port: { type: 'string' }, 'no-isolation': { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } }).values;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const port = Number(options.port ?? 8370);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    process.stderr.write(`--port is ${options.port}, not a number from 0 to 65535\n`);
    return 2;
  }
  const isolated = !options['no-isolation'];
  try {
    const { url, close } = await serveSite({ port, isolated });
    process.stdout.write(`${url}${isolated ? '' : '   (not isolated: one thread)'}\nCtrl-C ends it.\n`);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void close());
    return undefined;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    process.stderr.write(code === 'EADDRINUSE' ? `Port ${port} is in use; give another one with --port.\n` : `${message}\n`);
    return 1;
  }
}

process.exitCode = await main();

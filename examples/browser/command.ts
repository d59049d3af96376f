import { parseArgs } from 'node:util';
import { serveSite } from './server.js';

const USAGE = `npm run web -- [--port 8370] [--no-isolation]

--port N         another port; 0 for any that is free
--no-isolation   without the headers that let the page use several threads, as on many a web server
`;

/** Where the command writes. */
export interface Output {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** npm run web. @returns its exit code; undefined while it serves. */
export async function serve(args: readonly string[], { stdout, stderr }: Output): Promise<number | undefined> {
  let options: { port?: string; 'no-isolation'?: boolean; help?: boolean };
  try {
    options = parseArgs({ args: [...args], options: { port: { type: 'string' }, 'no-isolation': { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } }).values;
  } catch (error) {
    stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  if (options.help) {
    stdout.write(USAGE);
    return 0;
  }
  const port = Number(options.port ?? 8370);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    stderr.write(`--port is ${options.port}, not a number from 0 to 65535\n`);
    return 2;
  }
  const isolated = !options['no-isolation'];
  try {
    const { url, close } = await serveSite({ port, isolated });
    stdout.write(`${url}${isolated ? '' : '   (not isolated: one thread)'}\nCtrl-C ends it.\n`);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void close());
    return undefined;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    stderr.write(code === 'EADDRINUSE' ? `Port ${port} is in use; give another one with --port.\n` : `${message}\n`);
    return 1;
  }
}

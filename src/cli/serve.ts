import { ArgumentError } from '../index.js';
import { createHandler } from '../server/index.js';
import { numberOption, parseCommand, UsageError } from './arguments.js';
import { EMBEDDED_MODEL, loadFromFlags, MODEL_OPTIONS } from './embedded.js';
import { DEFAULT_HOST, DEFAULT_PORT, startHttp } from './http-server.js';
import { readInput } from './input.js';
import type { Io } from './io.js';
import { onOneLine } from './terminal.js';
import { HELP } from './usage.js';

const MAX_PORT = 65_535;

export async function serveCommand(args: readonly string[], io: Io): Promise<void> {
  const { values } = parseCommand(args, {
    ...MODEL_OPTIONS,
    port: { type: 'string' },
    host: { type: 'string' },
    'api-key': { type: 'string' },
    cors: { type: 'string', multiple: true },
    'batch-size': { type: 'string' },
    'max-queue': { type: 'string' },
    name: { type: 'string' },
    'chat-template': { type: 'string' },
  }, false);
  if (values.help) return void io.stdout.write(`${HELP.serve}\n`);
  const port = numberOption('port', values.port) ?? DEFAULT_PORT;
  if (!Number.isInteger(port) || port < 0 || port > MAX_PORT) throw new UsageError(`--port takes a whole number from 0 to ${MAX_PORT}, not "${values.port}"`);
  const options = {
    modelName: values.name ?? nameOf(values.model ?? EMBEDDED_MODEL.pathname),
    apiKey: values['api-key'] ?? process.env['MATMULFREE_API_KEY'],
    cors: values.cors,
    batchSize: numberOption('batch-size', values['batch-size']),
    maxQueue: numberOption('max-queue', values['max-queue']),
    onError: (error: unknown) => void io.stderr.write(`matmulfree: ${onOneLine(error instanceof Error ? (error.stack ?? error.message) : String(error))}\n`),
  };
  const chatTemplate = values['chat-template'] === undefined ? undefined : await readInput(values['chat-template'], io);
  const lm = await loadFromFlags(values, io, { chatTemplate });
  try {
    const handler = createHandler(lm, options);
    const server = await startHttp(handler, values.host ?? DEFAULT_HOST, port);
    if (!values.quiet) io.stderr.write(`${options.modelName} is served at ${server.url}/v1${lm.hasChatTemplate ? '' : ' (it has no chat template, so it takes no chats; --chat-template FILE gives one)'}; Ctrl-C stops it\n`);
    if (!server.isLocal && options.apiKey === undefined) io.stderr.write('matmulfree: everybody who can reach this machine may ask it; --api-key or MATMULFREE_API_KEY lets in those alone who have a key\n');
    await stopped(io.signal);
    await server.close();
  } catch (error) {
    if (error instanceof ArgumentError) throw new UsageError(error.message);
    throw error;
  } finally {
    lm.dispose();
  }
}

/** The last part of where a model comes from, without what it ends in. */
function nameOf(source: string): string {
  const [path = ''] = source.split(/[?#]/);
  return path.split(/[\\/]/).filter((part) => part !== '').at(-1)?.replace(/@[^@]*$|\.gguf$/gi, '') || 'matmulfree';
}

function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

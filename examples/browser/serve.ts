/*
 * Serves the page: npm run web, or npx tsx examples/browser/serve.ts --port 8370
 */
import { serve } from './command.js';

process.exitCode = await serve(process.argv.slice(2), process);

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buildSite, type SiteFile } from '../../examples/browser/site.js';
import type { SiteServer } from '../../examples/browser/server.js';
import { compile } from '../support/compile.js';
import { sendFile } from '../support/servers.js';

/**
 * The files of the example page on a server of the test's own.
 * @param change what is sent. @param take is asked first; what it takes on, it returns true for.
 */
export async function serveCopy(
  change: (file: SiteFile, site: ReadonlyMap<string, SiteFile>) => { readonly bytes: Uint8Array; readonly headers: Record<string, string> },
  take: (request: IncomingMessage, response: ServerResponse) => boolean = () => false,
): Promise<SiteServer> {
  const site = await buildSite('', compile);
  const server = createServer((request, response) => {
    if (take(request, response)) return;
    const file = site.get(request.url!.slice(1));
    if (!file) return void response.writeHead(404).end();
    const { bytes, headers } = change(file, site);
    sendFile(request, response, bytes, { headers: { 'content-type': file.type, etag: `"${file.integrity}"`, ...headers } });
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

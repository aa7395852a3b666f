import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseCertificates } from '../../core/keys/certificate-text.ts';

const CONFIG = `
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[stamping]
extendedKeyUsage = critical, timeStamping
keyUsage = critical, digitalSignature
[tsa]
default_tsa = authority
[authority]
serial = serial
crypto_device = builtin
signer_cert = signer.pem
signer_key = signer.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
`;

/** A time-stamp authority of `openssl ts`, with a root, a CA under it, and a folder of its own. */
export class OpensslAuthority {
  readonly folder = mkdtempSync(join(tmpdir(), 'lineproof-tsa-'));

  constructor(keys: readonly string[] = ['-newkey', 'rsa:2048']) {
    this.write('openssl.cnf', CONFIG);
    this.write('serial', '01');
    this.#certificate('root', keys, ['-extensions', 'ca']);
    this.#certificate('middle', keys, ['-extensions', 'ca', '-CA', 'root.pem', '-CAkey', 'root.key']);
    this.#certificate('signer', keys, ['-extensions', 'stamping', '-CA', 'middle.pem', '-CAkey', 'middle.key']);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** DER of the root, the CA, or the signer. */
  certificate(name: 'root' | 'middle' | 'signer'): Uint8Array {
    return (parseCertificates(readFileSync(this.path(`${name}.pem`), 'utf8'))[0] as { der: Uint8Array }).der;
  }

  /** The answer to a request. */
  reply(query: Uint8Array): Uint8Array {
    this.write('query.tsq', query);
    this.openssl('ts', '-reply', '-config', 'openssl.cnf', '-section', 'authority', '-queryfile', 'query.tsq', '-out', 'reply.tsr');
    return new Uint8Array(readFileSync(this.path('reply.tsr')));
  }

  /** What `openssl ts -verify` says of a time stamp over `text`, with the root as the only thing that it trusts. */
  verify(reply: Uint8Array, text: Uint8Array, beside?: Uint8Array): string {
    this.write('stamp.tsr', reply);
    this.write('text', text);
    if (beside !== undefined) this.write('beside.pem', beside);
    const more = beside === undefined ? [] : ['-untrusted', 'beside.pem'];
    return this.openssl('ts', '-verify', '-in', 'stamp.tsr', '-data', 'text', '-CAfile', 'root.pem', ...more);
  }

  openssl(...args: readonly string[]): string {
    return execFileSync('openssl', args, { cwd: this.folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  close(): void {
    rmSync(this.folder, { recursive: true });
  }

  #certificate(name: string, keys: readonly string[], more: readonly string[]): void {
    const made = ['-nodes', '-keyout', `${name}.key`, '-out', `${name}.pem`, '-days', '3650', '-subj', `/CN=${name}`];
    this.openssl('req', '-x509', '-config', 'openssl.cnf', ...keys, ...made, ...more);
  }

  write(name: string, content: string | Uint8Array): void {
    mkdirSync(this.folder, { recursive: true });
    writeFileSync(this.path(name), content);
  }
}

/** A server on a free port of this machine, with its URL. */
export interface StampServer {
  readonly url: string;
  readonly server: Server;
  close(): Promise<void>;
}

/** Serves requests; what `answer` gives is the body of a time-stamp reply. */
export function serveStamps(answer: (query: Uint8Array) => Uint8Array): Promise<StampServer> {
  return serve((request, response) => {
    const chunks: Uint8Array[] = [];
    request.on('data', (chunk: Uint8Array) => chunks.push(chunk));
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/timestamp-reply' });
      response.end(answer(new Uint8Array(Buffer.concat(chunks))));
    });
  });
}

export async function serve(listener: RequestListener): Promise<StampServer> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    server,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

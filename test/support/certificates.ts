import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram, temporaryFolder } from './command.ts';

/** PEM texts: an authority, and what it signed for localhost. */
export interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** An authority that nobody knew before, with a certificate for localhost. */
export async function newCertificates(): Promise<Certificates> {
  const { path, release } = temporaryFolder('certificates');
  const openssl = async (...args: readonly string[]): Promise<void> => {
    const { code, stderr } = await runProgram('openssl', args, { cwd: path });
    if (code !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`);
  };
  try {
    await openssl('req', '-x509', ...NEW_KEY, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=lineproof test CA');
    await openssl('req', ...NEW_KEY, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
    writeFileSync(join(path, 'extensions'), 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n');
    const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'extensions'];
    await openssl('x509', '-req', '-in', 'server.csr', ...signing, '-out', 'server.pem');
    const [ca, cert, key] = ['ca.pem', 'server.pem', 'server.key'].map((name) => readFileSync(join(path, name), 'utf8'));
    return { ca, cert, key } as Certificates;
  } finally {
    release();
  }
}

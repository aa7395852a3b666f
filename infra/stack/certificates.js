import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runOrFail } from './program.js';

const DAYS = '3650';

/**
 * Makes a CA for this stack, and one key and certificate for localhost that it signed, once. The CA's key is deleted: nobody
 * can sign more.
 * @param {string} folder the stack's
 */
export async function makeCertificates(folder) {
  const at = (/** @type {string} */ name) => join(folder, 'tls', name);
  if (existsSync(at('server-chain.pem'))) return;
  const openssl = (/** @type {string[]} */ ...args) => runOrFail('make the certificates', 'openssl', args, { cwd: join(folder, 'tls') });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await openssl('req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', DAYS, '-subj', '/CN=lineproof stack CA');
  await openssl('req', ...newKey, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
  writeFileSync(
    at('extensions'),
    'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n',
  );
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', DAYS, '-extfile', 'extensions'];
  await openssl('x509', '-req', '-in', 'server.csr', ...signing, '-out', 'server.pem');
  rmSync(at('ca.key'));
  chmodSync(at('server.key'), 0o600);
  const chain = ['server.key', 'server.pem', 'ca.pem'].map((name) => readFileSync(at(name), 'utf8')).join('');
  writeFileSync(at('server-chain.pem'), chain, { mode: 0o600 });
}

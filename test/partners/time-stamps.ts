// Time stamps by programs that nobody here wrote: asks openssl and sigstore's timestamp-server by our archiver, and lets openssl, rfc3161-client and our auditor
// judge what it keeps. README.md says how to install them.
//   node --conditions=lineproof-source --import ./test/support/typescript.js test/partners/time-stamps.ts --python PYTHON [--server TIMESTAMP-SERVER]
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../../adapters/system-clock.ts';
import { verifyArchive } from '../../auditor/verify.ts';
import { logKeysOf } from '../../core/archive/archive-keys.ts';
import { toBase64, utf8Text } from '../../core/base/bytes.ts';
import type { Certificate } from '../../core/keys/certificate.ts';
import { formatCertificates, parseCertificates } from '../../core/keys/certificate-text.ts';
import { parseVerifierKey } from '../../core/keys/key.ts';
import { OpensslAuthority, serveStamps } from '../support/openssl-authority.ts';
import { required } from '../support/rich-archive.ts';
import { stampedChain, startArchiver } from '../support/stamped-chain.ts';

const KEYS = logKeysOf(0);

/** One authority: where it is, and its certificates from the root down, without the signer's. */
interface Partner {
  readonly name: string;
  readonly url: string;
  readonly root: Certificate;
  readonly intermediates: readonly Certificate[];
}

/** Has a log stamped, and prints what each verifier says of the time stamp, and of one byte more of text. Gives whether all agree. */
async function tryPartner({ name, url, root, intermediates }: Partner, python: string): Promise<boolean> {
  const encoded = (each: Certificate): string => toBase64(each.der);
  const chain = await stampedChain({ name, url, roots: [encoded(root)], intermediates: intermediates.map(encoded), policies: [] }, 3);
  const { size } = chain.state.head;
  const running = startArchiver(chain);
  await running.objects.holds(KEYS.timestamp(size, name));
  await running.stop();
  const verdict = await verifyArchive(running.objects, {
    keys: [parseVerifierKey(chain.world.root.verifierKey)],
    now: systemClock.nowMicros(),
  });
  const note = utf8Text(required(running.objects.objects.get(KEYS.stampedNote(size))));
  const stamp = required(running.objects.objects.get(KEYS.timestamp(size, name)));
  const folder = mkdtempSync(join(tmpdir(), 'lineproof-partner-'));
  try {
    const text = note.slice(0, note.indexOf('\n\n') + 1);
    const files = {
      'stamp.tsr': stamp,
      text,
      other: `${text}\n`,
      'root.pem': formatCertificates([root]),
      'beside.pem': formatCertificates(intermediates),
    };
    for (const [file, content] of Object.entries(files)) writeFileSync(join(folder, file), content);
    const said = {
      lineproof: verdict.properties.TIME.result,
      openssl: openssl(folder, 'text'),
      'openssl, other text': openssl(folder, 'other'),
      'rfc3161-client': client(folder, python, 'text'),
      'rfc3161-client, other text': client(folder, python, 'other'),
    };
    process.stdout.write(`${name}: ${stamp.length} bytes, ${JSON.stringify(said)}\n`);
    return Object.values(said).join(' ') === 'OK OK refused OK refused';
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function openssl(cwd: string, data: string): string {
  const args = ['ts', '-verify', '-in', 'stamp.tsr', '-data', data, '-CAfile', 'root.pem', '-untrusted', 'beside.pem'];
  return spawnSync('openssl', args, { cwd }).status === 0 ? 'OK' : 'refused';
}

function client(cwd: string, python: string, data: string): string {
  const script = join(import.meta.dirname, 'verify_stamp.py');
  const { stdout, stderr } = spawnSync(python, [script, 'stamp.tsr', data, 'root.pem', 'beside.pem'], { cwd, encoding: 'utf8' });
  return stdout.startsWith('OK') ? 'OK' : stdout.startsWith('refused') ? 'refused' : stderr;
}

async function ofOpenssl(python: string): Promise<boolean> {
  const authority = new OpensslAuthority();
  const server = await serveStamps((query) => authority.reply(query));
  const [root, middle] = (['root', 'middle'] as const).map((name) => parseCertificates(authority.openssl('x509', '-in', `${name}.pem`))[0]);
  try {
    return await tryPartner({ name: 'openssl', url: server.url, root: required(root), intermediates: [required(middle)] }, python);
  } finally {
    await server.close();
    authority.close();
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function ofSigstore(binary: string, python: string): Promise<boolean> {
  const port = await freePort();
  const place = ['--host', '127.0.0.1', '--port', String(port)];
  const child = spawn(binary, ['serve', ...place, '--timestamp-signer', 'memory', '--disable-ntp-monitoring'], { stdio: 'ignore' });
  try {
    const base = `http://127.0.0.1:${port}/api/v1/timestamp`;
    // From the signer's to the root's.
    const certificates = parseCertificates(await certificateChain(`${base}/certchain`));
    const partner = { name: 'sigstore', url: base, root: required(certificates.at(-1)), intermediates: certificates.slice(1, -1) };
    return await tryPartner(partner, python);
  } finally {
    child.kill();
  }
}

/** The certificates that the server shows, once it answers. */
async function certificateChain(url: string): Promise<string> {
  for (let tries = 0; ; tries++) {
    try {
      return await (await fetch(url)).text();
    } catch (error) {
      if (tries === 100) throw error;
      await systemClock.sleep(100);
    }
  }
}

const { values } = parseArgs({ options: { python: { type: 'string', default: 'python3' }, server: { type: 'string' } } });
const agreed = [await ofOpenssl(values.python), ...(values.server === undefined ? [] : [await ofSigstore(values.server, values.python)])];
process.exitCode = agreed.every(Boolean) ? 0 : 1;

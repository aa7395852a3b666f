import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram, temporaryFolder } from './command.ts';

const DAY_MS = 86_400_000;

/** PEM texts: what an authority signed for this machine's names. */
interface Signed {
  readonly cert: string;
  readonly key: string;
}

/** PEM texts: an authority, and what it signed for localhost. */
export interface Certificates extends Signed {
  readonly ca: string;
}

/** Signs certificates until it is released. */
export interface Authority {
  /** PEM text of its certificate. */
  readonly ca: string;
  /** A new key, and a certificate for `names` (as openssl spells them) that is valid until this second. */
  sign(names: string, until: Date): Promise<Signed>;
  release(): void;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
/** The only way in which OpenSSL 3.0 takes the second in which a certificate ends. */
const CONFIG = `[ca]
default_ca = here
[here]
new_certs_dir = .
database = index
serial = serial
default_md = sha256
unique_subject = no
policy = any
[any]
commonName = supplied
`;

/** An authority that nobody knew before. */
export async function newAuthority(): Promise<Authority> {
  const { path, release } = temporaryFolder('certificates');
  const openssl = async (...args: readonly string[]): Promise<void> => {
    const { code, stderr } = await runProgram('openssl', args, { cwd: path });
    if (code !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`);
  };
  const text = (name: string): string => readFileSync(join(path, name), 'utf8');
  const write = (name: string, content: string): void => writeFileSync(join(path, name), content);
  write('config', CONFIG);
  write('index', '');
  write('serial', '01\n');
  await openssl('req', '-x509', ...NEW_KEY, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=lineproof test CA');
  return {
    ca: text('ca.pem'),
    sign: async (names, until) => {
      await openssl('req', ...NEW_KEY, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
      write('extensions', `subjectAltName=${names}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n`);
      const end = until.toISOString().replace(/[-:T]|\.\d+/g, '');
      const own = ['-config', 'config', '-cert', 'ca.pem', '-keyfile', 'ca.key', '-extfile', 'extensions'];
      await openssl('ca', '-batch', '-notext', ...own, '-in', 'server.csr', '-out', 'server.pem', '-enddate', end);
      return { cert: text('server.pem'), key: text('server.key') };
    },
    release,
  };
}

/** An authority that nobody knew before, with a certificate for localhost, or for other names as openssl spells them. */
export async function newCertificates(names = 'DNS:localhost'): Promise<Certificates> {
  const authority = await newAuthority();
  try {
    return { ca: authority.ca, ...(await authority.sign(names, new Date(Date.now() + DAY_MS))) };
  } finally {
    authority.release();
  }
}

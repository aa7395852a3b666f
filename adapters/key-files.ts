import { chmod, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LineproofError } from '../core/base/errors.ts';
import { formatPrivateKey, keySigner, parsePrivateKey } from '../core/keys/key.ts';
import type { Signer } from '../core/ports/signer.ts';
import { syncFolder, writeSynced } from '../platform/durable-file.ts';
import { isDiskFull, systemReason } from '../platform/errno.ts';

/** The signer whose private key `path` holds (`PRIVATE+KEY+…`, Go's note format). Throws KEY_UNREADABLE, never with the content. */
export async function readKeyFile(path: string): Promise<Signer> {
  let text: string;
  try {
    if (isOpen(await stat(path), process.getuid?.()))
      throw new LineproofError('KEY_UNREADABLE', `cannot use key file ${path}: others can read or write it; run chmod 600 ${path}`, {
        path,
      });
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof LineproofError) throw error;
    throw new LineproofError(
      'KEY_UNREADABLE',
      `cannot read key file ${path}: ${systemReason(error)}; restore it from its backup with mode 0600, never make a new key under the old name`,
      { path },
    );
  }
  try {
    const { name, seed } = parsePrivateKey(text.trim());
    return keySigner(name, seed);
  } catch {
    throw new LineproofError(
      'KEY_UNREADABLE',
      `cannot use key file ${path}: it holds no Ed25519 private key of the form PRIVATE+KEY+name+id+base64; restore it from its backup`,
      { path },
    );
  }
}

/**
 * Whether a private key file is open to users that need not have it. Kubernetes mounts a secret as root's; with an fsGroup its group, which is the one that the
 * process has there, can read it too (0440, 0640). Such a file belongs to somebody else than the process, or nobody can write it.
 */
export function isOpen({ mode, uid }: { readonly mode: number; readonly uid: number }, processUid: number | undefined): boolean {
  if ((mode & 0o077) === 0) return false;
  const isOfGroup = (mode & 0o037) === 0 && uid === 0;
  return !isOfGroup || (processUid === 0 && (mode & 0o222) !== 0);
}

/** Writes a new private key (0600) and, beside it, its verifier key (`.pub` instead of `.key`). Never replaces a file. */
export async function writeKeyFile(path: string, key: { readonly name: string; readonly seed: Uint8Array }): Promise<void> {
  await writeNew(path, `${formatPrivateKey(key.name, key.seed)}\n`, 0o600);
  await writeNew(path.replace(/\.key$/, '.pub'), `${keySigner(key.name, key.seed).verifierKey}\n`, 0o644);
}

async function writeNew(path: string, text: string, mode: number): Promise<void> {
  try {
    await writeSynced(path, text, mode);
    await chmod(path, mode);
    await syncFolder(dirname(path));
  } catch (error) {
    throw new LineproofError(isDiskFull(error) ? 'DISK_FULL' : 'IO_FAILED', `cannot write key file ${path}: ${systemReason(error)}`, {
      path,
    });
  }
}

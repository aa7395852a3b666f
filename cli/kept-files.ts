import type { KeptNote } from '../auditor/kept-notes.ts';
import { utf8Text } from '../core/base/bytes.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import { LIMITS } from '../core/base/limits.ts';
import { parseTlogProof } from '../core/formats/tlog-proof.ts';
import type { Certificate } from '../core/keys/certificate.ts';
import { parseCertificates } from '../core/keys/certificate-text.ts';
import { ioError } from '../platform/errno.ts';
import { readBoundedFile } from '../settings/small-file.ts';

/** A note that somebody kept: a checkpoint file, or a proof, which holds one. Throws USAGE or an I/O error. */
export function readKeptNote(path: string): KeptNote {
  let bytes: Uint8Array;
  try {
    bytes = readBoundedFile(path, LIMITS.proofBytes);
  } catch (error) {
    throw ioError(`read --since ${path}`, error);
  }
  try {
    const text = utf8Text(bytes);
    return { name: path, note: text.startsWith('c2sp.org/tlog-proof@') ? parseTlogProof(text).checkpoint : text };
  } catch (error) {
    throw new LineproofError(
      'USAGE',
      `--since ${path} is neither a note of a log (a file named checkpoint) nor a proof: ${messageOf(error)}`,
    );
  }
}

/** Certificates of roots that somebody trusts, in PEM. Throws USAGE or an I/O error. */
export function readStampRoots(path: string): Certificate[] {
  let bytes: Uint8Array;
  try {
    bytes = readBoundedFile(path, LIMITS.policyBytes);
  } catch (error) {
    throw ioError(`read --tsa-root ${path}`, error);
  }
  try {
    return parseCertificates(utf8Text(bytes));
  } catch (error) {
    throw new LineproofError('USAGE', `--tsa-root ${path} holds no certificates in PEM that can be used: ${messageOf(error)}`);
  }
}

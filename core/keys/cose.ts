import { concat, equal, utf8 } from '../base/bytes.ts';
import { CBOR_NULL, cborArray, cborBytes, cborInt, cborMap, cborTag, cborText } from '../base/cbor.ts';
import { LineproofError } from '../base/errors.ts';
import type { Signer } from '../ports/signer.ts';
import type { Checkpoint } from './checkpoint.ts';
import { envelopeKeyId } from './dsse.ts';
import type { VerifierKey } from './key.ts';
import { importKey, verifySignature } from './signature.ts';

const COSE_SIGN1 = 18;
const EDDSA = -8;
/** RFC 9162 with SHA-256: the tree that the logs have. */
const RFC9162_SHA256 = 1;
const LABEL = { alg: 1, kid: 4, claims: 15, vds: 395, vdp: 396 } as const;
const CLAIM = { iss: 1, sub: 2 } as const;
const INCLUSION_PROOFS = -1;
const SIGNATURE_BYTES = 64;
/** No unprotected header and no payload: what is between the protected header and the signature. */
const MIDDLE = concat(cborMap(), CBOR_NULL);
const EMPTY = new Uint8Array(0);

type Head = Pick<Checkpoint, 'origin' | 'size'>;

/** The protected header of a tree head (docs/formats.md §4): the log's name is the issuer, name and size the subject. */
function protectedHeader(keyid: string, { origin, size }: Head): Uint8Array {
  const claims = cborMap([CLAIM.iss, cborText(origin)], [CLAIM.sub, cborText(`${origin}@${size}`)]);
  return cborMap(
    [LABEL.alg, cborInt(EDDSA)],
    [LABEL.kid, cborBytes(utf8(keyid))],
    [LABEL.claims, claims],
    [LABEL.vds, cborInt(RFC9162_SHA256)],
  );
}

/** The bytes that are signed: Sig_structure of RFC 9052 §4.4, the payload being the root of the tree. */
function signedBytes(header: Uint8Array, root: Uint8Array): Uint8Array {
  return cborArray(cborText('Signature1'), cborBytes(header), cborBytes(EMPTY), cborBytes(root));
}

/** A COSE_Sign1 over the root of `checkpoint`, which it does not hold (RFC 9942). All receipts of this size have this signature. */
export async function signTreeHead(checkpoint: Checkpoint, signer: Signer): Promise<Uint8Array> {
  const header = protectedHeader(envelopeKeyId(signer.name, signer.keyId), checkpoint);
  return treeHead(header, await signer.sign(signedBytes(header, checkpoint.root)));
}

function treeHead(header: Uint8Array, signature: Uint8Array): Uint8Array {
  return cborTag(COSE_SIGN1, cborArray(cborBytes(header), cborMap(), CBOR_NULL, cborBytes(signature)));
}

/** The one of `keys` that signed the root of `checkpoint` with exactly the bytes that {@link signTreeHead} writes. Undefined for anything else. */
export function treeHeadSigner(bytes: Uint8Array, checkpoint: Checkpoint, keys: readonly VerifierKey[]): VerifierKey | undefined {
  const signature = bytes.slice(-SIGNATURE_BYTES);
  return keys.find((key) => {
    const header = protectedHeader(envelopeKeyId(key.name, key.id), checkpoint);
    return equal(treeHead(header, signature), bytes) && verifySignature(importKey(key), signedBytes(header, checkpoint.root), signature);
  });
}

/** Where a leaf is in the tree of a signed head. */
export interface Inclusion {
  readonly size: number;
  readonly index: number;
  readonly path: readonly Uint8Array[];
}

/** A COSE receipt (RFC 9942) of one leaf, made of a kept tree head without any key. Throws FORMAT_INVALID for bytes that end otherwise than a tree head. */
export function receiptOf(head: Uint8Array, { size, index, path }: Inclusion): Uint8Array {
  const signature = head.slice(-SIGNATURE_BYTES);
  const tail = concat(MIDDLE, cborBytes(signature));
  if (!equal(head.slice(-tail.length), tail))
    throw new LineproofError('FORMAT_INVALID', 'cannot make receipt: the object is not a COSE signature of a tree head');
  const proof = cborArray(cborInt(size), cborInt(index), cborArray(...path.map(cborBytes)));
  const proofs = cborMap([LABEL.vdp, cborMap([INCLUSION_PROOFS, cborArray(cborBytes(proof))])]);
  return concat(head.slice(0, -tail.length), proofs, CBOR_NULL, cborBytes(signature));
}

import { readKeyFile } from '../adapters/key-files.ts';
import { checkProof } from '../auditor/proofs/proof-check.ts';
import type { ProofSubject } from '../auditor/proofs/proof-subject.ts';
import { toBase64, utf8 } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { canonicalJson } from '../core/base/jcs.ts';
import { encodePreAuthentication, envelopeKeyId } from '../core/keys/dsse.ts';
import type { Signer } from '../core/ports/signer.ts';
import type { MadeProof } from '../prover/prove.ts';
import { type Invocation, stringOption } from './command.ts';
import { type ProofFile, TLOG_PROOF_ENDING } from './proof-folder.ts';

const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
const PAYLOAD_TYPE = 'application/vnd.in-toto+json';
/** Of the predicate, which says what the event is and carries its proof. */
export const PREDICATE_TYPE = 'urn:lineproof:predicate:event:1';

/** A form in which `prove` writes an event. */
export interface ProofForm {
  /** Of the first of its files. */
  readonly ending: string;
  /** Whether all of it is one file, so that it can go to standard output. */
  readonly isOneFile: boolean;
  /** Text on how to check what was written. */
  readonly howToCheck: (file: string) => string;
  files(proof: MadeProof): Promise<readonly ProofFile[]>;
}

export const FORMS = ['tlog-proof', 'json', 'cose', 'in-toto'] as const;

const TLOG_PROOF: ProofForm = {
  ending: TLOG_PROOF_ENDING,
  isOneFile: true,
  howToCheck: (file) => `to check: lineproof check ${file} --key KEY`,
  files: async ({ text }) => [{ ending: TLOG_PROOF_ENDING, content: utf8(text) }],
};

const JSON_FORM: ProofForm = {
  ending: '.json',
  isOneFile: true,
  howToCheck: () => 'JSON for programs; its member tlogProof, decoded, is a file that lineproof check takes',
  files: async (proof) => [{ ending: '.json', content: utf8(`${canonicalJson(described(proof))}\n`) }],
};

const COSE: ProofForm = {
  ending: '.receipt',
  isOneFile: false,
  howToCheck: () =>
    'each .receipt is of the bytes in the .leaf beside it, by the log key; a verifier of COSE receipts (RFC 9942) checks both',
  files: async (proof) => {
    const { receipt, leaf } = await proof.receipt();
    return [
      { ending: '.receipt', content: receipt },
      { ending: '.leaf', content: leaf },
    ];
  },
};

/** The form that a call asks for. Throws USAGE or KEY_UNREADABLE. */
export async function formOf(invocation: Invocation): Promise<ProofForm> {
  const name = stringOption(invocation, 'as') ?? 'tlog-proof';
  const signer = stringOption(invocation, 'signer');
  if (signer !== undefined && name !== 'in-toto') throw new LineproofError('USAGE', '--signer belongs to --as in-toto');
  if (name === 'tlog-proof') return TLOG_PROOF;
  if (name === 'json') return JSON_FORM;
  if (name === 'cose') return COSE;
  if (name !== 'in-toto')
    throw new LineproofError('USAGE', `--as is ${JSON.stringify(name.slice(0, 80))}: it must be one of ${FORMS.join(', ')}`);
  if (signer === undefined)
    throw new LineproofError(
      'USAGE',
      '--as in-toto makes a new statement, which --signer KEYFILE has to sign: a key of yours, not of the log',
    );
  return inToto(await readKeyFile(signer));
}

function inToto(signer: Signer): ProofForm {
  return {
    ending: '.intoto.json',
    isOneFile: true,
    howToCheck: () =>
      `a statement of ${envelopeKeyId(signer.name, signer.keyId)}, which a DSSE verifier checks by that key; the tlogProof in its predicate is the proof by the log`,
    files: async (proof) => {
      const payload = utf8(canonicalJson(statementOf(proof)));
      const sig = await signer.sign(encodePreAuthentication(PAYLOAD_TYPE, payload));
      const signatures = [{ keyid: envelopeKeyId(signer.name, signer.keyId), sig: toBase64(sig) }];
      const envelope = { payload: toBase64(payload), payloadType: PAYLOAD_TYPE, signatures };
      return [{ ending: '.intoto.json', content: utf8(`${canonicalJson(envelope)}\n`) }];
    },
  };
}

/** An in-toto statement about the data that the event names. Throws NOT_FOUND where it names none by a digest: in-toto matches subjects by digest only. */
function statementOf(proof: MadeProof): Readonly<Record<string, unknown>> {
  const { data } = subjectOf(proof);
  const subject = data.flatMap(({ name, digest }) => {
    const [algorithm = '', value = ''] = digest?.split(':') ?? [];
    return value === '' ? [] : [{ name, digest: { [algorithm]: value } }];
  });
  if (subject.length === 0)
    throw new LineproofError(
      'NOT_FOUND',
      `cannot write leaf ${proof.shard}/${proof.leaf} as in-toto: the event names no data with a digest, and a statement needs a subject`,
    );
  return { _type: STATEMENT_TYPE, subject, predicateType: PREDICATE_TYPE, predicate: described(proof) };
}

/** What the proof says, and the proof. */
function described(proof: MadeProof): Readonly<Record<string, unknown>> {
  return { ...subjectOf(proof), tlogProof: toBase64(utf8(proof.text)) };
}

function subjectOf({ text, shard, leaf }: MadeProof): ProofSubject {
  const { subject } = checkProof(utf8(text), { keys: [] });
  if (subject === null) throw new LineproofError('INTERNAL', `cannot write leaf ${shard}/${leaf}: its proof cannot be read`);
  return subject;
}

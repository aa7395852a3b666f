import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { toHex, utf8 } from '../../../../core/base/bytes.ts';
import { LIMITS } from '../../../../core/base/limits.ts';
import { formatCheckpoint, parseCheckpoint } from '../../../../core/keys/checkpoint.ts';
import { cosign, cosignatureMessage, cosignatureTime, verifyCosignature } from '../../../../core/keys/cosignature.ts';
import { formatVerifierKey, keySigner, parsePrivateKey, parseVerifierKey } from '../../../../core/keys/key.ts';
import { formatNote, type NoteSignature, openNote, readNote, signNote } from '../../../../core/keys/note.ts';
import { KEY_TYPE } from '../../../../core/keys/signature.ts';
import { codeOf, readVectors, signerOf, verifierOf } from './support.ts';

const vectors = readVectors('notes.json') as {
  readonly c2sp: { readonly verifierKey: string; readonly text: string; readonly line: string };
  readonly go: Readonly<Record<'verifierKey' | 'privateKey' | 'otherVerifierKey' | 'text' | 'line' | 'otherLine', string>>;
  readonly checkpoint: {
    readonly text: string;
    readonly origin: string;
    readonly size: number;
    readonly root: string;
    readonly lines: readonly string[];
    readonly time: number;
  };
  readonly cosignature: { readonly name: string; readonly line: string };
};
const { go, c2sp } = vectors;
const peter = parseVerifierKey(go.verifierKey);
const enoch = parseVerifierKey(go.otherVerifierKey);

const names = (signatures: readonly NoteSignature[]): string[] => signatures.map(({ name, id }) => `${name} ${toHex(id)}`);

/** A note with many signatures by nobody. */
function signedBy(count: number, bytes: number): string {
  const signatures = Array.from({ length: count }, (_, i) => ({ name: `n${i}`, id: new Uint8Array(4), signature: new Uint8Array(bytes) }));
  return formatNote('t\n', signatures);
}

describe('the published notes', () => {
  test('C2SP: the example opens', () => {
    expect(openNote(`${c2sp.text}\n${c2sp.line}`, [parseVerifierKey(c2sp.verifierKey)])).toMatchObject({ text: c2sp.text, unknown: [] });
  });

  test('Go: signing gives the same bytes', async () => {
    const { name, seed } = parsePrivateKey(go.privateKey);
    expect(await signNote(go.text, keySigner(name, seed))).toBe(`${go.text}\n${go.line}`);
  });

  test('Go: signatures by known keys are verified, others kept apart', () => {
    const note = `${go.text}\n${go.line}${go.otherLine}`;
    const [p, e] = ['PeterNeumann c74f20a3', 'EnochRoot af0cfe78'];
    for (const [keys, verified, unknown] of [
      [[peter], [p], [e]],
      [[peter, enoch], [p, e], []],
    ] as const) {
      const opened = openNote(note, keys);
      expect([names(opened.verified), names(opened.unknown)]).toEqual([verified, unknown]);
      expect(formatNote(opened.text, [...opened.verified, ...opened.unknown])).toBe(note);
    }
  });

  test.each([
    ['text alone', go.text],
    ['no empty line before the signature', `x${go.line}`],
    ['no signature line', `${go.text}\n`],
    ['no newline at the end', `${go.text}\n${go.line.slice(0, -1)}`],
    ['a second newline at the end', `${go.text}\n${go.line}\n`],
    ['a control character', `\u0001${go.text}\n${go.line}`],
    ['a tab', `\t${go.text}\n${go.line}`],
    ['a delete character', `\u007f${go.text}\n${go.line}`],
    ['base64 without padding', `${go.text}\n${go.line.replace('=', '')}`],
    ['a carriage return', `${go.text}\r\n\n${go.line}`],
    ['half a surrogate pair', `\ud800${go.text}\n${go.line}`],
    ['a name with a space', `${go.text}\n— Bad Name ${go.line.split(' ')[2]}`],
    ['a name with +', `${go.text}\n— Bad+Name ${go.line.split(' ')[2]}`],
    ['no name', `${go.text}\n—  ${go.line.split(' ')[2]}`],
    ['a line of something else', `${go.text}\n${go.line}Unexpected line.\n`],
    ['a hyphen for the dash', `${go.text}\n${go.line.replace('—', '-')}`],
    ['base64 with unused bits', `${go.text}\n${go.line.replace('nAM=', 'nAN=')}`],
    ['base64 of the URL alphabet', `${go.text}\n${go.line.replaceAll('/', '_')}`],
    ['a key id and no signature', `${go.text}\n— n AAAAAA==\n`],
  ])('malformed: %s', (_, note) => {
    expect(codeOf(() => openNote(note, [peter]))).toBe('FORMAT_INVALID');
  });

  test.each([
    ['a longer signature', `${go.text}\n${go.line.slice(0, 60)}ABCD${go.line.slice(60)}`],
    ['another text', `${go.text}More.\n\n${go.line}`],
    ['a second signature', `${go.text}\n${go.line}${go.line}`],
    ['a second, wrong signature', `${go.text}\n${go.line}${go.line.replace('AQxV', 'AQxW')}`],
    ['a wrong one among right ones', `${go.text}\n${go.otherLine}${go.line.replace('AQxV', 'AQxW')}`],
  ])('a known key rejects the note: %s', (_, note) => {
    expect(codeOf(() => openNote(note, [peter, enoch]))).toBe('SIGNATURE_INVALID');
  });

  test('a note that none of the expected keys signed does not open, also where no key is expected', () => {
    for (const keys of [[], [verifierOf('somebody else', 'SomebodyElse')]])
      expect(codeOf(() => openNote(`${go.text}\n${go.line}${go.otherLine}`, keys))).toBe('SIGNATURE_INVALID');
  });

  test('a key of the same name and another id, or the same id and another name, is unknown', () => {
    const other = verifierOf('somebody else', 'PeterNeumann');
    expect(codeOf(() => openNote(`${go.text}\n${go.line}`, [other]))).toBe('SIGNATURE_INVALID');
    const renamed = go.line.replace('PeterNeumann', 'CarmenSandiego');
    expect(codeOf(() => openNote(`${go.text}\n${renamed}`, [peter]))).toBe('SIGNATURE_INVALID');
  });
});

describe('notes of every shape', () => {
  const line = fc.string({ unit: 'grapheme', maxLength: 12 }).map((text) => text.replaceAll(/[\p{Cc}]/gu, '.'));
  const text = fc.array(line, { minLength: 1, maxLength: 6 }).map((lines) => `${lines.join('\n')}\n`);

  test('the text ends at the last empty line, whatever it contains', async () => {
    await fc.assert(
      fc.asyncProperty(text, async (body) => {
        const note = await signNote(body, signerOf('log'));
        expect(openNote(note, [verifierOf('log')])).toMatchObject({ text: body, verified: [{ name: 'log' }], unknown: [] });
      }),
    );
  });

  test('a text that looks like a signed note keeps its inner signatures as text', async () => {
    const inner = await signNote('a\n', signerOf('inner'));
    const outer = await signNote(inner, signerOf('outer'));
    expect(openNote(outer, [verifierOf('inner'), verifierOf('outer')])).toMatchObject({ text: inner, verified: [{ name: 'outer' }] });
  });

  test('16 signatures of 5 kB are taken, 100 small ones, not 101, and not more bytes than the limit', () => {
    expect(readNote(signedBy(16, 5000)).signatures).toHaveLength(16);
    expect(readNote(signedBy(LIMITS.noteSignatures, 64)).signatures).toHaveLength(100);
    expect(codeOf(() => readNote(signedBy(LIMITS.noteSignatures + 1, 64)))).toBe('LIMIT_EXCEEDED');
    expect(codeOf(() => readNote(signedBy(100, 5000)))).toBe('LIMIT_EXCEEDED');
    expect(codeOf(() => readNote(`${'語'.repeat(LIMITS.noteBytes / 3 + 1)}\n\n${go.line}`))).toBe('LIMIT_EXCEEDED');
  });

  test('a note of as many bytes as a note may have is taken, and a signature of one byte by a key that is not known', () => {
    const signature = { name: 'n', id: new Uint8Array(4), signature: new Uint8Array(1) };
    const rest = utf8(formatNote('\n', [signature])).length;
    for (const more of [0, 1]) {
      const note = formatNote(`${'t'.repeat(LIMITS.noteBytes - rest + more)}\n`, [signature]);
      expect([utf8(note).length - LIMITS.noteBytes, codeOf(() => readNote(note))]).toEqual([
        more,
        more === 0 ? undefined : 'LIMIT_EXCEEDED',
      ]);
    }
  });

  test('a key of an unknown algorithm rejects the note that it signed', () => {
    const key = parseVerifierKey(formatVerifierKey('pq', 6, new Uint8Array(1312)));
    const note = formatNote('t\n', [{ name: 'pq', id: key.id, signature: new Uint8Array(64) }]);
    expect(codeOf(() => openNote(note, [key]))).toBe('SIGNATURE_INVALID');
    expect(readNote(note).signatures).toHaveLength(1);
  });
});

describe('checkpoints', () => {
  const { text, ...example } = vectors.checkpoint;

  test('the example of tlog-checkpoint is read and written alike', () => {
    const checkpoint = parseCheckpoint(text);
    expect({ ...checkpoint, root: toHex(checkpoint.root) }).toEqual({ origin: example.origin, size: example.size, root: example.root });
    expect(formatCheckpoint(checkpoint)).toBe(text);
  });

  test.each([0, 1, 2 ** 31, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER])('size %d is one', (size) => {
    const checkpoint = { origin: 'o/0', size, root: new Uint8Array(32).fill(9) };
    expect(parseCheckpoint(formatCheckpoint(checkpoint))).toEqual(checkpoint);
  });

  const hash = 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=';
  test.each([
    ['nothing', ''],
    ['no root', 'o\n1\n'],
    ['no newline at the end', `o\n1\n${hash}`],
    ['an extension line', `o\n1\n${hash}\nmore\n`],
    ['an empty line after it', `o\n1\n${hash}\n\n`],
    ['no origin', `\n1\n${hash}\n`],
    ['a leading zero', `o\n01\n${hash}\n`],
    ['zero with a sign', `o\n-0\n${hash}\n`],
    ['a negative size', `o\n-1\n${hash}\n`],
    ['a plus sign', `o\n+1\n${hash}\n`],
    ['a fraction', `o\n1.0\n${hash}\n`],
    ['an exponent', `o\n1e3\n${hash}\n`],
    ['no size', `o\n\n${hash}\n`],
    ['a size of 2^53', `o\n9007199254740992\n${hash}\n`],
    ['digits of another script', `o\n١\n${hash}\n`],
    ['a short root', 'o\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxqw==\n'],
    ['a long root', `o\n1\n${'A'.repeat(44)}\n`],
    ['unused bits', `o\n1\n${hash.replace('2I=', '2J=')}\n`],
    ['no padding', `o\n1\n${hash.slice(0, -1)}\n`],
    ['carriage returns', `o\r\n1\r\n${hash}\r\n`],
  ])('%s is refused', (_, broken) => {
    expect(codeOf(() => parseCheckpoint(broken))).toBe('FORMAT_INVALID');
  });
});

describe('cosignatures', () => {
  const { text, lines, time } = vectors.checkpoint;
  const { name, line } = vectors.cosignature;
  const signer = keySigner(
    name,
    Uint8Array.from({ length: 32 }, (_, i) => i),
  );
  const witness = parseVerifierKey(formatVerifierKey(name, KEY_TYPE.cosignature, parseVerifierKey(signer.verifierKey).publicKey));

  test("C2SP: the example's time and message", () => {
    const [, cosigned] = readNote(`${text}\n${lines.join('')}`).signatures;
    expect(cosignatureTime((cosigned as NoteSignature).signature)).toBe(time);
    expect(new TextDecoder().decode(cosignatureMessage(time, text))).toBe(`cosignature/v1\ntime 1679315147\n${text}`);
  });

  test('one made by another implementation verifies in the note, and is made the same here', async () => {
    const opened = openNote(`${text}\n${lines[0]}${line}`, [witness]);
    expect(opened.verified).toMatchObject([{ name, id: witness.id }]);
    const { signature } = opened.verified[0] as NoteSignature;
    expect(formatNote(text, [await cosign(text, cosignatureTime(signature) as number, signer)])).toBe(`${text}\n${line}`);
  });

  test('another text, time or key does not verify', async () => {
    const { signature } = await cosign(text, 5, signer);
    expect(verifyCosignature(witness, text, signature)).toBe(true);
    const later = signature.slice();
    later[7] = 6;
    expect(verifyCosignature(witness, text, later)).toBe(false);
    expect(verifyCosignature(witness, `${text}x\n`, signature)).toBe(false);
    expect(verifyCosignature(parseVerifierKey(signer.verifierKey), text, signature)).toBe(false);
    expect(verifyCosignature({ ...verifierOf('other'), type: KEY_TYPE.cosignature }, text, signature)).toBe(false);
    expect(verifyCosignature(witness, text, signature.subarray(1))).toBe(false);
  });

  test('an ordinary signature by the same key is not a cosignature', async () => {
    const plain = await signNote(text, signer);
    const asWitness = plain.replace(/— .*\n$/, '');
    const { signature } = readNote(plain).signatures[0] as NoteSignature;
    expect(codeOf(() => openNote(formatNote(asWitness.slice(0, -1), [{ name, id: witness.id, signature }]), [witness]))).toBe(
      'SIGNATURE_INVALID',
    );
  });

  test('times beyond 2^53 are not times', async () => {
    const { signature } = await cosign(text, Number.MAX_SAFE_INTEGER, signer);
    expect(cosignatureTime(signature)).toBe(Number.MAX_SAFE_INTEGER);
    signature[0] = 1;
    expect(cosignatureTime(signature)).toBeUndefined();
    await expect(cosign(text, -1, signer)).rejects.toMatchObject({ code: 'INTERNAL' });
    await expect(cosign(text, 1.5, signer)).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});

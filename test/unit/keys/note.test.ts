import { describe, expect, test } from '@jest/globals';
import { fromBase64, toHex, utf8 } from '../../../core/bytes.ts';
import { formatVerifierKey, KEY_TYPE, keySigner, parsePrivateKey, parseVerifierKey } from '../../../core/key.ts';
import { formatNote, openNote, signNote } from '../../../core/note.ts';

/** golang.org/x/mod/sumdb/note: note_test.go. */
const GO = {
  text: "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n",
  peter: '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n',
  enoch: '— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n',
};
const PETER = parseVerifierKey('PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW');
const ENOCH = parseVerifierKey('EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop');
const PETER_SECRET = parsePrivateKey('PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz');
const SIGNATURE_INVALID = expect.objectContaining({ code: 'SIGNATURE_INVALID' });
const line = (i: number) => ({ name: `key-${i}`, id: utf8('abcd'), signature: Uint8Array.of(i) });
const names = (lines: readonly { readonly name: string }[]) => lines.map(({ name }) => name);

describe('notes of other implementations', () => {
  test('Go signs the same text with the same bytes', async () => {
    expect(await signNote(GO.text, keySigner(PETER_SECRET.name, PETER_SECRET.seed))).toBe(`${GO.text}\n${GO.peter}`);
  });

  test("Go's note with two signatures opens for either key, for both and for none", () => {
    const note = `${GO.text}\n${GO.peter}${GO.enoch}`;
    for (const keys of [[], [PETER], [ENOCH], [PETER, ENOCH]]) {
      const { text, verified, unknown } = openNote(note, keys);
      expect(text).toBe(GO.text);
      expect(names(verified)).toEqual(keys.map(({ name }) => name));
      expect(verified.length + unknown.length).toBe(2);
    }
    const { verified, unknown } = openNote(note, [PETER]);
    expect(formatNote(GO.text, [...verified, ...unknown])).toBe(note);
  });

  test('the example of the C2SP signed-note specification opens', () => {
    const key = parseVerifierKey('example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k');
    const note =
      'This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n';
    expect(openNote(note, [key])).toMatchObject({ text: 'This is an example message.\n', unknown: [] });
  });

  test('that is longer than 256 KiB is refused', () => {
    expect(() => openNote(`${'a'.repeat(256 * 1024)}${GO.text}\n${GO.peter}`, [])).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED' }),
    );
  });
});

describe('a note', () => {
  const good = `${GO.text}\n${GO.peter}`;

  test('has its text end at the last empty line', async () => {
    const text = 'a\n\nb\n\n— not a signature\n\nc\n';
    const note = await signNote(text, keySigner(PETER_SECRET.name, PETER_SECRET.seed));
    expect(openNote(note, [PETER])).toMatchObject({ text, unknown: [] });
  });

  test('with a wrong signature of a known key is refused, of an unknown one opens', () => {
    const changed = good.replace('If', 'Iff');
    expect(() => openNote(changed, [PETER])).toThrow(SIGNATURE_INVALID);
    expect(names(openNote(changed, [ENOCH]).unknown)).toEqual(['PeterNeumann']);
  });

  test('that a known key signs twice is refused, an unknown one not', () => {
    const twice = `${GO.text}\n${GO.peter}${GO.enoch}${GO.peter}`;
    expect(() => openNote(twice, [PETER])).toThrow(SIGNATURE_INVALID);
    expect(openNote(twice, [ENOCH]).unknown).toHaveLength(2);
  });

  test('tells keys of one name apart by their ids', () => {
    const other = parseVerifierKey(keySigner('PeterNeumann', new Uint8Array(32).fill(9)).verifierKey);
    expect(names(openNote(good, [other]).unknown)).toEqual(['PeterNeumann']);
    expect(names(openNote(good, [other, PETER]).verified)).toEqual(['PeterNeumann']);
  });

  test('never verifies with a key of another type', () => {
    const bytes = fromBase64(good.slice(good.lastIndexOf(' ') + 1, -1));
    const witness = parseVerifierKey(formatVerifierKey('PeterNeumann', KEY_TYPE.cosignature, PETER.publicKey));
    const note = formatNote(GO.text, [{ name: witness.name, id: witness.id, signature: bytes.slice(4) }]);
    expect(() => openNote(note, [witness])).toThrow(SIGNATURE_INVALID);
  });

  test('may have 100 signatures and no more', () => {
    const notes = [100, 101].map((count) =>
      formatNote(
        'a\n',
        Array.from({ length: count }, (_, i) => line(i)),
      ),
    );
    expect(openNote(notes[0] as string, []).unknown).toHaveLength(100);
    expect(() => openNote(notes[1] as string, [])).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
  });

  test('gives ids and signatures apart', () => {
    const { verified } = openNote(good, [PETER]);
    expect(toHex(verified[0]?.id ?? new Uint8Array())).toBe('c74f20a3');
    expect(verified[0]?.signature).toHaveLength(64);
  });

  test.each([
    ['has no signatures', GO.text],
    ['ends behind the empty line', `${GO.text}\n`],
    ['lacks the last newline', good.slice(0, -1)],
    ['ends in two newlines', `${good}\n`],
    ['starts with a control character', `\u0001${good}`],
    ['holds a tab', good.replace('If', 'If\t')],
    ['holds a carriage return', good.replace(',\n', ',\r\n')],
    ['holds DEL', good.replace('If', 'If\u007f')],
    ['holds half of a surrogate pair', good.replace('If', 'If\ud83d')],
    ['has a name with a space', good.replace('PeterNeumann', 'Bad Name')],
    ['has a name with +', good.replace('PeterNeumann', 'Peter+Neumann')],
    ['has no name', good.replace('PeterNeumann ', '')],
    ['has a hyphen for the dash', good.replace('—', '-')],
    ['has a line behind the signatures', `${good}Unexpected line.\n`],
    ['has base64 that is not canonical', good.replace('AM=', 'AN=')],
    ['has base64 without padding', good.replace('AM=', 'AM')],
    ['has a signature of no bytes', `${GO.text}\n— a AAAAAA==\n`],
  ])('that %s is refused', (_, note) => {
    expect(() => openNote(note, [])).toThrow(expect.objectContaining({ code: expect.stringMatching(/^(FORMAT|KEY)_INVALID$/) }));
  });

  test('that is longer than 256 KiB is refused', () => {
    expect(() => openNote(`${'a'.repeat(256 * 1024)}${GO.text}\n${GO.peter}`, [])).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED' }),
    );
  });
});

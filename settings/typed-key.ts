import { readSmallFile } from './small-file.ts';

/** The form of a verifier key, whatever follows its id. */
const KEY_FORM = /^[^+\s]+\+[0-9a-f]{8}\+/;

/**
 * The file that a typed key names: undefined if the text is the key itself. A text with a + is always a key, even where a file has that name:
 * otherwise whoever puts such a file beside the reader chooses the reader's key. A path that has a + is written after an @.
 */
export function keyFileOf(typed: string): string | undefined {
  if (KEY_FORM.test(typed)) return undefined;
  if (typed.startsWith('@')) return typed.slice(1);
  return typed.includes('+') ? undefined : typed;
}

/** The text of a typed key: itself, or the content of the file that it names. Throws what the system throws. */
export function typedKeyText(typed: string): string {
  const file = keyFileOf(typed);
  return file === undefined ? typed.trim() : readSmallFile(file).trim();
}

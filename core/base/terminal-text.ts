/** Usual width of a terminal. */
export const COLUMNS = 80;

/** Control, format and separator characters and halves of pairs: they move the cursor, reorder a line or hide a part of it. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** The text with each character that could steer a terminal written as `\u{1b}`. Names come from an archive that may be hostile. */
export function printable(text: string): string {
  return text.replaceAll(UNSAFE, (character) => `\\u{${(character.codePointAt(0) as number).toString(16)}}`);
}

/** As {@link printable}, of a text of several lines. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** The JSON text of a value. Characters that could steer a terminal are escaped, as JSON permits anywhere in a string; their meaning stays. */
export function terminalJson(value: unknown, indent?: number): string {
  const escaped = (character: string): string =>
    [...Array(character.length).keys()].map((i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`).join('');
  // JSON.stringify escapes what is below a space, but for the newlines of its own that separate members.
  return JSON.stringify(value, undefined, indent).replaceAll(UNSAFE, (character) => (character === '\n' ? character : escaped(character)));
}

/** `text` in lines of at most 80 columns; all but the first are indented by `indent`. A word that is longer has a line for itself. */
export function wrapped(text: string, indent = 0): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/(?<=\S) /)) {
    if (line !== '' && line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = `${' '.repeat(indent)}${word.trimStart()}`;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** `1 leaf`, `2 leaves`: a number with its noun; `plural` where adding an s does not make it. */
export function counted(number: number, singular: string, plural = `${singular}s`): string {
  return `${number} ${number === 1 ? singular : plural}`;
}

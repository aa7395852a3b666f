/** Longest part of a text that a message shows. */
const SHOWN_UNITS = 40;
/** What a terminal must not get as it is: controls, and characters that turn the direction of writing. JSON escapes the other controls. */
const UNPRINTABLE = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** A text of a stranger for a message: in quotes, cut, and safe to print. */
export function quotedText(text: string, units: number = SHOWN_UNITS): string {
  const shown = text.length > units ? `${text.slice(0, units)}…` : text;
  return JSON.stringify(shown).replaceAll(UNPRINTABLE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

import { terminalJson } from './terminal-text.ts';

/** Longest part of a text that a message shows. */
const SHOWN_UNITS = 40;

/** A text of a stranger for a message: in quotes, cut, and safe to print. */
export function quotedText(text: string, units: number = SHOWN_UNITS): string {
  return terminalJson(text.length > units ? `${text.slice(0, units)}…` : text);
}

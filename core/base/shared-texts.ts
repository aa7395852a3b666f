/** Gives the same text for equal ones: a million streams of one producer hold its name once. */
export function sharedTexts(): (text: string) => string {
  const known = new Map<string, string>();
  return (text) => {
    const there = known.get(text);
    if (there === undefined) known.set(text, text);
    return there ?? text;
  };
}

// Makes mutations of a source text by rule, so that no check of a function is forgotten: every condition becomes false, loses each of its
// parts and moves its bounds; every statement that is a call of a check goes.

/** Where the bracket that opens at `at` closes. Strings and templates of the sources hold brackets in pairs, or none. */
function closing(text, at) {
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    if ('([{'.includes(text[i])) depth++;
    else if (')]}'.includes(text[i]) && --depth === 0) return i;
  }
  throw new Error(`no end of the bracket at ${at}`);
}

/** Parts of `from`–`to` between `&&` and `||` that stand in no bracket, each with the operator before it (the first: after it). */
function parts(text, from, to) {
  const cuts = [];
  for (let i = from; i < to; i++) {
    if ('([{'.includes(text[i])) i = closing(text, i);
    else if (text.startsWith('&&', i) || text.startsWith('||', i)) cuts.push(i++);
  }
  if (cuts.length === 0) return [];
  const bounds = [from, ...cuts, to];
  return bounds.slice(0, -1).map((start, i) => (i === 0 ? [start, cuts[0] + 2] : [start, bounds[i + 1]]));
}

const COMPARISONS = / (<=|>=|<|>|===|!==) /g;
const MOVED = { '<': '<=', '<=': '<', '>': '>=', '>=': '>', '===': '!==', '!==': '===' };

/** Changes of the condition between `from` and `to`. */
function* conditions(text, from, to) {
  for (const [start, end] of parts(text, from, to)) yield [start, end, ''];
  for (const match of text.slice(from, to).matchAll(COMPARISONS)) {
    if (match[1].length < 3) yield [from + match.index + 1, from + match.index + 1 + match[1].length, MOVED[match[1]]];
  }
}

const CALLS =
  /^ *(?:await )?(?:this\.#?\w+|must(?:Hold|Fit|Count)|check\w+|findings\.\w+|this\.#\w+\.\w+|this\.#?o?\.?findings\.\w+|fail|refuse)\(/gm;

/** All changes of `text`: [from, to, what stands there then]. */
export function* changesOf(text) {
  for (const match of text.matchAll(/\bif \(/g)) {
    const open = match.index + match[0].length - 1;
    const close = closing(text, open);
    yield [open + 1, close, 'false'];
    yield* conditions(text, open + 1, close);
  }
  for (const match of text.matchAll(/(?:return|const \w+ =|const \w+: boolean =|=>)\s+(?=[^;{]*?(?:&&|\|\|))/g)) {
    const from = match.index + match[0].length;
    let end = from;
    while (end < text.length && !';,)]}'.includes(text[end])) end = '([{'.includes(text[end]) ? closing(text, end) + 1 : end + 1;
    if (parts(text, from, end).length > 0) yield* conditions(text, from, end);
  }
  for (const match of text.matchAll(CALLS)) {
    const end = closing(text, text.indexOf('(', match.index + match[0].length - 1));
    // Where it is all that a condition guards, an empty statement must stay.
    if (text[end + 1] === ';') yield [match.index, end + 2, ';'];
  }
}

/** Heads of functions and methods; control structures look alike and are told apart by their word. */
const HEADS =
  /^ *(?:(?:export|async|static|get|set) )*(?:function\*? ?)?\*?(?!(?:if|for|while|switch|catch|return|throw|await|new|super|expect)\b)#?\w+(?:<[^(\n]*>)?\(/gm;

/** Every function of `text` with nothing in it: [from, to, what stands there then, its name]. */
export function* emptied(text) {
  for (const match of text.matchAll(HEADS)) {
    let close = closing(text, match.index + match[0].length - 1);
    // A type in brackets stands before the body.
    if (text.startsWith(': {', close + 1)) close = closing(text, close + 3);
    const line = text.slice(close + 1, text.indexOf('\n', close));
    if (!line.endsWith('{') || line.includes('=>')) continue;
    const open = close + line.length;
    yield [open, closing(text, open) + 1, '{}', match[0].trim().slice(0, -1)];
  }
}

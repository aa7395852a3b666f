// Writes one source with all its mutants in it, each behind a switch: `$m(17)` is true while mutant 17 is the one that counts.
// So the sources are compiled and loaded once, and a run goes from one mutant to the next by setting a number.

/** A piece of the original with the mutants of exactly its range around it. */
function around(kind, mutants, inner) {
  if (kind === 'expression') return `(${mutants.map(({ id, text }) => `$m(${id}) ? (${text}) : `).join('')}(${inner}))`;
  // A body keeps its braces: it is left at once.
  if (kind === 'body') return `{ ${mutants.map(({ id }) => `if ($m(${id})) return;`).join(' ')} ${inner} }`;
  if (kind === 'property') return `...(${mutants.map(({ id }) => `$m(${id}) ? {} : `).join('')}{ ${inner} })`;
  if (kind === 'element') return `...(${mutants.map(({ id }) => `$m(${id}) ? [] : `).join('')}[${inner}])`;
  return `{ ${mutants.map(({ id, text }) => `if ($m(${id})) {${text}} else `).join('')}${inner} }`;
}

/** Mutants by their range: outer ranges come before inner ones. */
function groups(mutants) {
  const grouped = new Map();
  for (const mutant of mutants) {
    const key = `${mutant.from} ${mutant.to} ${mutant.kind}`;
    const group = grouped.get(key);
    if (group === undefined) grouped.set(key, { kind: mutant.kind, from: mutant.from, to: mutant.to, mutants: [mutant] });
    else group.mutants.push(mutant);
  }
  const rank = { statement: 0, property: 0, element: 0, body: 1, expression: 2 };
  return [...grouped.values()].toSorted((a, b) => a.from - b.from || b.to - a.to || rank[a.kind] - rank[b.kind]);
}

/** The text from `from` to `to` with the groups that lie in it; they are taken off the front of `rest`. */
function write(text, from, to, rest) {
  let out = '';
  let at = from;
  while (rest.length > 0 && rest[0].from < to) {
    const group = rest.shift();
    const [start, end] = group.kind === 'body' ? [group.from + 1, group.to - 1] : [group.from, group.to];
    out += text.slice(at, group.from) + around(group.kind, group.mutants, write(text, start, end, rest));
    at = group.to;
  }
  return out + text.slice(at, to);
}

/** `text` with all `mutants` behind their switches; each has an `id`, and `$m` is to be imported. */
export function withSwitches(text, mutants) {
  return write(text, 0, text.length, groups(mutants));
}

// What the sources of a world ask at every mutant. It is in the world's root; sources and worker share it.

/** Mutant that counts; -1 is none. */
let active = Number(process.env.MUTANT ?? -1);
/** Where mutants are noted that are asked for, while a coverage pass runs. */
let hits;

export let $m = (id) => id === active;

/** Makes this mutant count. */
export function activate(id) {
  active = id;
}

/** From now on no mutant counts, and {@link takeHits} gives those that were asked for. */
export function record(count) {
  hits = new Uint8Array(count);
  $m = (id) => {
    hits[id] = 1;
    return false;
  };
}

/** Mutants asked for since the last call. */
export function takeHits() {
  const ids = [];
  for (let id = hits.indexOf(1); id >= 0; id = hits.indexOf(1, id + 1)) ids.push(id);
  hits.fill(0);
  return ids;
}

// What runs found, kept in a file, so that a run goes on where the one before it ended.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';

/** Verdicts by suite and mutant. A survivor counts only for the tests that it survived: those of the same world. */
export class Results {
  #path;
  #world;
  #kept = new Map();

  constructor(path, world) {
    this.#path = path;
    this.#world = world;
    for (const line of existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []) {
      const { key, ...result } = JSON.parse(line);
      if (result.verdict !== 'survived' || result.world === world) this.#kept.set(key, result);
    }
  }

  of(suite, mutant) {
    return this.#kept.get(keyOf(suite, mutant));
  }

  keep(suite, mutant, result) {
    const key = keyOf(suite, mutant);
    this.#kept.set(key, result);
    appendFileSync(this.#path, `${JSON.stringify({ key, world: this.#world, ...result })}\n`);
  }
}

function keyOf(suite, { file, name, node, change, line }) {
  return [suite.name, file, name, line, node, change].join('\n');
}

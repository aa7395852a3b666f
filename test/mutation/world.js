// A world is a copy of the repository, compiled to JavaScript, with all mutants of a suite in its sources, each behind a switch.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { transformSync } from '@swc/core';
import { filesBelow, PRODUCT, ROOT } from '../../scripts/folders.js';
import { parse, walk } from '../../scripts/syntax-tree.js';
import { withSwitches } from './schemata.js';

const SWC = { jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, module: { type: 'es6' }, sourceMaps: 'inline' };
const HERE = 'test/mutation';

/** Literals that name a module: of imports, exports and calls of `import`. */
function specifiersOf(text) {
  const found = [];
  for (const statement of parse(text)) {
    walk(statement, (node) => {
      if (/^(?:Import|Export)/.test(node.type ?? '') && node.source?.type === 'StringLiteral') found.push(node.source);
      if (node.type === 'CallExpression' && node.callee.type === 'Import') found.push(node.arguments[0].expression);
    });
  }
  return found.filter(({ type }) => type === 'StringLiteral').toSorted((a, b) => b.from - a.from);
}

/** The source as a module of a world: it imports compiled files and, instead of jest, the harness. */
function compiled(path, text, mutants, up) {
  let source = mutants.length === 0 ? text : withSwitches(text, mutants);
  for (const { value, from, to } of specifiersOf(source)) {
    const module = value === '@jest/globals' ? `${up}harness.js` : value.startsWith('.') ? value.replace(/\.ts$/, '.js') : value;
    source = `${source.slice(0, from)}'${module}'${source.slice(to)}`;
  }
  if (mutants.length > 0) source = `import { $m } from '${up}switch.js';${source}`;
  return transformSync(source, { ...SWC, filename: join(ROOT, path) }).code;
}

/** Writes the world of these mutants, which have ids, to `folder`, where there is none yet. */
export function makeWorld(folder, mutants) {
  if (existsSync(join(folder, 'made'))) return;
  mkdirSync(join(folder, 'tmp'), { recursive: true });
  for (const path of [...PRODUCT, 'test'].flatMap((part) => filesBelow(part, ''))) {
    const target = join(folder, path);
    if (path.startsWith(`${HERE}/`) || extname(path) === '') continue;
    mkdirSync(dirname(target), { recursive: true });
    if (!path.endsWith('.ts')) cpSync(join(ROOT, path), target);
    else {
      const up = '../'.repeat(path.split('/').length - 1);
      writeFileSync(
        target.replace(/\.ts$/, '.js'),
        compiled(
          path,
          readFileSync(join(ROOT, path), 'utf8'),
          mutants.filter(({ file }) => file === path),
          up,
        ),
      );
    }
  }
  for (const name of ['switch.js', 'harness.js', 'worker.js']) cpSync(join(ROOT, HERE, name), join(folder, name));
  writeManifest(folder);
  // Tests read documents and settings of the repository; scripts have no TypeScript.
  for (const name of readdirSync(ROOT))
    if (!existsSync(join(folder, name)) && !name.startsWith('.git') && name !== 'dist') symlinkSync(join(ROOT, name), join(folder, name));
  writeFileSync(join(folder, 'made'), '');
}

/** The manifest, whose imports lead to what the world has: compiled sources. */
function writeManifest(folder) {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const imports = Object.entries(manifest.imports).map(([name, to]) => [name, to['lineproof-source'].replace(/\.ts$/, '.js')]);
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, imports: Object.fromEntries(imports) }));
}

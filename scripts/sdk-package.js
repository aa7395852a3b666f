// Makes the light package for services, dist/sdk-package/, from the same build: exactly the files that the SDK's entries reach.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';

const FROM = 'dist';
const TO = 'dist/sdk-package';
const ENTRIES = { '.': 'sdk/lineproof', './kafka': 'sdk/kafka' };
/** The file behind the import `#crypto`: a service runs on Node. */
const CRYPTO = 'core/crypto/node';
/**
 * A library of which the SDK loads a few CommonJS files: they go into the package, with its licence, in place of the library and the packages
 * that only the rest of it needs.
 */
const PART_OF = '@kafkajs/confluent-schema-registry';
const PART = 'vendor/confluent-schema-registry';
/** The package that these files load; it comes in the version that the lockfile has. */
const HTTP = 'mappersmith';
/** Documents that the README and messages of the SDK point to. */
const DOCUMENTS = ['LICENSE', 'CHANGELOG.md', 'SECURITY.md', 'docs'];

/** Every specifier that a file imports, exports from, or loads later. */
function specifiersOf(text) {
  return [...text.matchAll(/(?:\bfrom|\bimport|\bimport\(|\brequire\()\s*['"]([^'"\n]+)['"]/g)].map(([, specifier]) => specifier);
}

function packageOf(specifier) {
  return /^(?:@[^/]+\/)?[^/]+/.exec(specifier)[0];
}

/** Copies a file of the library, and those that it requires, to the vendored part; gives the packages that they load. */
function vendor(file, packages, done = new Set()) {
  if (done.has(file)) return;
  done.add(file);
  const text = readFileSync(join('node_modules', PART_OF, file), 'utf8');
  write(join(PART, file), text.replace(/^\/\/# sourceMappingURL=.*$/m, ''));
  for (const specifier of specifiersOf(text)) {
    if (specifier.startsWith('.')) vendor(`${posix.join(posix.dirname(file), specifier)}.js`, packages, done);
    else packages.add(packageOf(specifier));
  }
}

function versionOf(name) {
  return JSON.parse(readFileSync(join('node_modules', name, 'package.json'), 'utf8')).version;
}

function write(file, text) {
  mkdirSync(dirname(join(TO, file)), { recursive: true });
  writeFileSync(join(TO, file), text);
}

/** The text of a built file of the SDK, with the vendored files in place of the library's. */
function withVendored(file, packages) {
  const up = '../'.repeat(file.split('/').length - 1);
  return readFileSync(join(FROM, file), 'utf8').replaceAll(new RegExp(`(['"])${PART_OF}/([^'"\n]+)\\1`, 'g'), (_, quote, path) => {
    vendor(path, packages);
    return `${quote}${up}${PART}/${path}${quote}`;
  });
}

/** Files of the build below the entries, and the npm packages that they load. */
function reach() {
  const files = new Set();
  const packages = new Set();
  const visit = (file) => {
    if (files.has(file)) return;
    files.add(file);
    for (const specifier of specifiersOf(readFileSync(join(FROM, file), 'utf8'))) {
      if (specifier.startsWith('.'))
        visit(posix.join(posix.dirname(file), specifier).replace(/\.(js|ts)$/, file.endsWith('.d.ts') ? '.d.ts' : '.js'));
      else if (specifier === '#crypto') visit(`${CRYPTO}${file.endsWith('.d.ts') ? '.d.ts' : '.js'}`);
      else if (!specifier.startsWith('node:') && packageOf(specifier) !== PART_OF) packages.add(packageOf(specifier));
    }
  };
  for (const entry of Object.values(ENTRIES)) for (const ending of ['.js', '.d.ts']) visit(`${entry}${ending}`);
  return { files, packages };
}

const { name, version, description, type, license, engines, dependencies, ...rest } = JSON.parse(readFileSync('package.json', 'utf8'));
rmSync(TO, { recursive: true, force: true });
const { files, packages } = reach();
for (const file of files) write(file, withVendored(file, packages));
write(join(PART, 'package.json'), '{"type":"commonjs"}\n');
cpSync(join('node_modules', PART_OF, 'LICENSE'), join(TO, PART, 'LICENSE'));
for (const document of DOCUMENTS) cpSync(document, join(TO, document), { recursive: true });
cpSync('sdk/README.package.md', join(TO, 'README.md'));
const optional = Object.keys(rest.peerDependencies ?? {});
const needed = Object.keys(dependencies).filter((each) => packages.has(each));
const unknown = [...packages].filter((each) => !needed.includes(each) && !optional.includes(each) && each !== HTTP);
if (unknown.length > 0) throw new Error(`the SDK imports packages that package.json does not list: ${unknown.join(', ')}`);
const manifest = {
  name: `${name}-sdk`,
  version,
  description: `${description}: the SDK for services`,
  type,
  license,
  engines,
  exports: {
    ...Object.fromEntries(Object.entries(ENTRIES).map(([path, entry]) => [path, { types: `./${entry}.d.ts`, default: `./${entry}.js` }])),
    './package.json': './package.json',
  },
  imports: { '#crypto': `./${CRYPTO}.js` },
  dependencies: { ...Object.fromEntries(needed.map((each) => [each, dependencies[each]])), [HTTP]: versionOf(HTTP) },
};
writeFileSync(join(TO, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
if (!existsSync(join(TO, 'sdk/lineproof.js'))) throw new Error('the SDK package has no entry');

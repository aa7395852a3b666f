import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** Relative links of a package's documents whose target is not in the package, as `document → target`. */
export function brokenLinks(root: string): string[] {
  return documents(root).flatMap((document) => {
    const text = readFileSync(join(root, document), 'utf8').replaceAll(/^```[\s\S]*?^```/gm, '');
    const targets = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, target]) => target as string);
    return targets
      .filter((target) => !/^[a-z]+:/.test(target) && !existsSync(join(root, dirname(document), target)))
      .map((target) => `${document} → ${target}`);
  });
}

/** Documents that messages of the package's code point to and that are not in the package. */
export function missingDocuments(root: string, code: string): string[] {
  const named = new Set(
    readdirSync(join(root, code), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.js') && !path.includes('node_modules'))
      .flatMap((path) => readFileSync(join(root, code, path), 'utf8').match(/\b(?:docs\/[\w./-]+\.md|[A-Z]{5,}\.md)\b/g) ?? []),
  );
  return [...named].filter((path) => !existsSync(join(root, path)));
}

/** Markdown files of a package, without those of what it depends on. */
function documents(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md') && !path.split('/').includes('node_modules'))
    .map((path) => relative(root, join(root, path)));
}

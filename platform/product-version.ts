import { createRequire } from 'node:module';

/** The version in the package's package.json. */
export function productVersion(): string {
  const { version } = createRequire(import.meta.url)('lineproof/package.json') as { version: string };
  return version;
}

import { PRODUCT } from './scripts/folders.js';

const product = PRODUCT.join(',');

export default {
  entry: [
    // Ports whose adapters come later.
    'core/ports/timestamp-authority.ts',
    'test/partners/witnesses.ts',
    'bench/main.ts',
    'test/**/*.test.ts',
    'test/**/*.js',
    'test/{property,fault,faults,integration}/*-child.ts',
    'test/golden/make.ts',
    'test/support/typescript.js',
    'test/types/*.ts',
    'scripts/*.js',
  ],
  project: [`{${product},test,bench}/**/*.ts`, 'infra/stack/*.js'],
  ignoreExportsUsedInFile: true,
  ignoreBinaries: ['flock', 'mkfifo', 'go', 'sqlite3', 'ssh-add', 'ssh-agent', 'ssh-keygen'],
  ignoreDependencies: ['oxlint', 'oxlint-tsgolint'],
};

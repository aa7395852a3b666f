import { PRODUCT } from './scripts/folders.js';

const product = PRODUCT.join(',');

export default {
  entry: [
    'test/partners/witnesses.ts',
    'bench/main.ts',
    'test/**/*.test.ts',
    'test/**/*.js',
    'test/{property,fault,faults,integration}/*-child.ts',
    'test/golden/make.ts',
    'test/partners/*.ts',
    'test/vectors/*.ts',
    'test/support/typescript.js',
    'test/types/*.ts',
    'scripts/*.js',
  ],
  project: [`{${product},test,bench}/**/*.ts`, 'infra/stack/*.js'],
  ignoreExportsUsedInFile: true,
  ignoreBinaries: ['flock', 'mkfifo', 'go', 'openssl', 'sqlite3', 'ssh-add', 'ssh-agent', 'ssh-keygen'],
  ignoreDependencies: ['oxlint', 'oxlint-tsgolint'],
};

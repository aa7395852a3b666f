import { PRODUCT } from './scripts/folders.js';

const product = PRODUCT.join(',');
const library = PRODUCT.filter((name) => name !== 'cli' && name !== 'sdk').join(',');

export default {
  entry: [
    `{${library}}/**/*.ts`,
    'bench/main.ts',
    'test/**/*.test.ts',
    'test/**/*.js',
    'test/{property,fault}/*-child.ts',
    'test/support/typescript.js',
    'test/types/*.ts',
    'scripts/*.js',
  ],
  project: [`{${product},test,bench}/**/*.ts`, 'infra/stack/*.js'],
  ignoreExportsUsedInFile: true,
  ignoreBinaries: ['flock', 'mkfifo'],
  ignoreDependencies: ['oxlint', 'oxlint-tsgolint'],
};

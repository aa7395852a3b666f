export default {
  testEnvironment: 'node',
  // Long, so that a busy machine is not a failure; a test that hangs is found nevertheless.
  testTimeout: 60_000,
  // Jest leaves one core free, which on two cores means one file at a time.
  maxWorkers: '100%',
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^#crypto$': '<rootDir>/core/crypto/node.ts' },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, module: { type: 'es6' }, sourceMaps: 'inline' },
    ],
  },
  globalSetup: '<rootDir>/test/support/stack-setup.js',
  globalTeardown: '<rootDir>/test/support/stack-teardown.js',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
};

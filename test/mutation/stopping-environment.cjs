// Ends the whole run with the first test that fails: what the others would say is of no interest to a mutation.
const { TestEnvironment } = require('jest-environment-node');

module.exports = class StoppingEnvironment extends TestEnvironment {
  handleTestEvent({ name, test }) {
    if (name === 'hook_failure' || name === 'error' || (name === 'test_done' && test.errors.length > 0)) process.exit(1);
  }
};

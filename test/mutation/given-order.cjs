// Runs test files in the order in which the suite names them: the one that most likely notices comes first.
const { default: Sequencer } = require('@jest/test-sequencer');

const given = process.argv.filter((each) => each.startsWith('test/'));

module.exports = class GivenOrder extends Sequencer {
  sort(tests) {
    const place = ({ path }) => given.findIndex((each) => path.includes(each));
    return tests.toSorted((a, b) => place(a) - place(b));
  }
};

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { concat, utf8 } from '../../../../core/base/bytes.ts';
import { formatVerifierKey, parseVerifierKey } from '../../../../core/keys/key.ts';
import { KEY_TYPE } from '../../../../core/keys/signature.ts';
import { formatWitnessPolicy, parseWitnessPolicy, quorumHolds } from '../../../../core/keys/witness-policy.ts';
import { codeOf, messageOf, verifierOf } from './support.ts';

const log = verifierOf('log', 'example.com/log').text;
const witnessKey = (name: string): string =>
  formatVerifierKey(`w.example/${name}`, KEY_TYPE.cosignature, verifierOf(`witness-${name}`).publicKey);
const witnesses = (...names: readonly string[]): string => names.map((name) => `witness ${name} ${witnessKey(name)}\n`).join('');
const parse = (text: string) => parseWitnessPolicy(utf8(text));
const holds = (text: string, ...signed: readonly string[]): boolean => quorumHolds(parse(text), new Set(signed.map(witnessKey)));

/** The example of c2sp.org/tlog-policy, with keys in place. */
const EXAMPLE = `log ${log}

${witnesses('X1', 'X2', 'X3')}group X-witnesses 2 X1 X2 X3

${witnesses('Y1', 'Y2', 'Y3')}group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
`;

describe("the specification's example", () => {
  test('is read', () => {
    const policy = parse(EXAMPLE);
    expect(policy.logs.map(({ key, url }) => [key.text, url])).toEqual([[log, null]]);
    expect(policy.witnesses.map(({ name }) => name)).toEqual(['X1', 'X2', 'X3', 'Y1', 'Y2', 'Y3']);
    expect(policy.groups.map(({ name, threshold }) => [name, threshold])).toEqual([
      ['X-witnesses', 2],
      ['Y-witnesses', 1],
      ['X-and-Y', 2],
    ]);
    expect(parse(formatWitnessPolicy(policy))).toEqual(policy);
  });

  test('two of X and one of Y are a quorum, less is not', () => {
    for (let set = 0; set < 64; set++) {
      const signed = ['X1', 'X2', 'X3', 'Y1', 'Y2', 'Y3'].filter((_, i) => set & (1 << i));
      const x = signed.filter((name) => name.startsWith('X')).length;
      expect(holds(EXAMPLE, ...signed)).toBe(x >= 2 && signed.length - x >= 1);
    }
  });
});

test('a quorum can be one witness, or none', () => {
  expect([holds(`${witnesses('A', 'B')}quorum A\n`, 'A'), holds(`${witnesses('A', 'B')}quorum A\n`, 'B')]).toEqual([true, false]);
  expect([holds('quorum none\n'), holds(`log ${log} https://log.example\nquorum none\n`)]).toEqual([true, true]);
});

test('a group counts what its threshold says, for every threshold', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }), fc.nat(63), (size, threshold, set) => {
      const names = Array.from({ length: size }, (_, i) => `W${i}`);
      const signed = names.filter((_, i) => set & (1 << i));
      fc.pre(threshold <= size);
      expect(holds(`${witnesses(...names)}group g ${threshold} ${names.join(' ')}\nquorum g\n`, ...signed)).toBe(
        signed.length >= threshold,
      );
      expect(holds(`${witnesses(...names)}group g all ${names.join(' ')}\nquorum g\n`, ...signed)).toBe(signed.length === size);
      expect(holds(`${witnesses(...names)}group g any ${names.join(' ')}\nquorum g\n`, ...signed)).toBe(signed.length > 0);
    }),
    { numRuns: 60 },
  );
});

test('keys nobody named count for nothing', () => {
  expect(quorumHolds(parse(`${witnesses('A')}quorum A\n`), new Set([witnessKey('B'), log]))).toBe(false);
});

test('white space, comments and URLs may be where the specification allows them', () => {
  const text = `# heading\n\t # indented\n \t\n  log\t${log}  https://log.example/#x \n${witnesses('A#1')}\tquorum A#1\n# after\n`;
  expect(parse(text)).toMatchObject({ logs: [{ url: 'https://log.example/#x' }], witnesses: [{ name: 'A#1' }], quorum: 'A#1' });
  expect(parse(`${witnesses('Kélvin\u212a')}witness K ${witnessKey('K')} https://w\nquorum K\n`).witnesses.map(({ name }) => name)).toEqual(
    ['Kélvin\u212a', 'K'],
  );
});

test('an ML-DSA key may log and witness: it is kept, and never counted by us', () => {
  const key = formatVerifierKey('pq.example', 6, new Uint8Array(1312).fill(3));
  const other = formatVerifierKey('pq.example', 6, new Uint8Array(1312).fill(4));
  expect(parse(`log ${key}\nwitness W ${other}\nquorum W\n`).witnesses[0]?.key).toEqual(parseVerifierKey(other));
});

const A = witnesses('A');
test.each([
  ['no quorum', A],
  ['an empty file', ''],
  ['two quorums', `${A}quorum A\nquorum A\n`],
  ['a quorum that is not defined', `${A}quorum B\n`],
  ['a quorum that is defined later', `quorum A\n${A}`],
  ['a quorum of two names', `${witnesses('A', 'B')}quorum A B\n`],
  ['a quorum of nothing', `${A}quorum\n`],
  ['an unknown word', `${A}quorum A\nwitnesses A\n`],
  ['a word with a capital', `${A}Quorum A\n`],
  ['no end of the last line', `${A}quorum A`],
  ['carriage returns', `${A}quorum A\r\n`],
  ['a zero byte', `${A}quorum A\n#\u0000\n`],
  ['a delete character', `${A}quorum A\n#\u007f\n`],
  ['a name twice', `${A}witness A ${witnessKey('B')}\nquorum A\n`],
  ['a group with a witness’s name', `${A}group A any A\nquorum A\n`],
  ['a witness called none', `witness none ${witnessKey('B')}\nquorum none\n`],
  ['none as a member', `${A}group g any A none\nquorum g\n`],
  ['a member that is not defined', `${A}group g any A B\nquorum g\n`],
  ['a group that holds itself', `${A}group g any A g\nquorum g\n`],
  ['a member twice', `${A}group g any A A\nquorum g\n`],
  ['a member of two groups', `${A}group g any A\ngroup h any A\nquorum h\n`],
  ['a group without members', `${A}group g any\nquorum A\n`],
  ['a threshold of 0', `${A}group g 0 A\nquorum g\n`],
  ['a threshold above the members', `${A}group g 2 A\nquorum g\n`],
  ['a threshold with a leading zero', `${A}group g 01 A\nquorum g\n`],
  ['a threshold with a sign', `${A}group g +1 A\nquorum g\n`],
  ['a threshold that is not a number', `${A}group g some A\nquorum g\n`],
  ['a witness with a log key', `witness A ${log}\nquorum A\n`],
  ['a log with a witness key', `log ${witnessKey('A')}\nquorum none\n`],
  ['a witness without key', 'witness A\nquorum A\n'],
  ['a log without key', 'log\nquorum none\n'],
  ['a broken key', `log ${log.slice(0, -1)}\nquorum none\n`],
  ['a word too many', `log ${log} https://a b\nquorum none\n`],
  ['a log twice', `log ${log}\nlog ${log} https://a\nquorum none\n`],
  ['one log key under two names', `log ${log}\nlog ${verifierOf('log', 'other.example').text}\nquorum none\n`],
  [
    'one witness key under two names',
    `${A}witness B ${formatVerifierKey('other', KEY_TYPE.cosignature, verifierOf('witness-A').publicKey)}\nquorum A\n`,
  ],
])('%s is refused', (_, text) => {
  expect(codeOf(() => parse(text))).toBe('FORMAT_INVALID');
});

test('an error names the line; bytes that are not UTF-8 and files that are too large are refused', () => {
  expect(messageOf(() => parse(`# one\n\n${A}group g 7 A\nquorum g\n`))).toContain('line 4');
  expect(messageOf(() => parse(`${A}quorum A\r\n`))).toContain('line 2: it holds a carriage return');
  expect(messageOf(() => parse(`${A}#\u0007\nquorum A\n`))).toContain('line 2: it holds a control character');
  expect(messageOf(() => parse(`${A}witnes B\nquorum A\n`))).toContain('line 2: it starts with "witnes"');
  expect(messageOf(() => parse(`${A}quorum a\n`))).toContain('line 2: "a" is not the name of a witness or group above');
  const turned = witnessKey('A').replace(/[^+]+$/, (key) => `BB${key.slice(2)}`);
  expect(messageOf(() => parse(`witness A ${turned}\nquorum A\n`))).toMatch(/line 1 has no usable key: .*id/);
  expect(codeOf(() => parseWitnessPolicy(concat(utf8('#'), Uint8Array.of(0xff), utf8('\nquorum none\n'))))).toBe('FORMAT_INVALID');
  expect(codeOf(() => parse(`#${'x'.repeat(1024 * 1024)}\nquorum none\n`))).toBe('LIMIT_EXCEEDED');
});

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { CLUSTER_SETTINGS } from '../../../settings/cluster-settings.ts';
import { SETTINGS } from '../../../settings/embedded-settings.ts';
import { describeSettings, loadTable } from '../../../settings/load-settings.ts';
import { temporaryFolder } from '../../support/command.ts';

const folder = temporaryFolder('settings');
afterAll(() => folder.release());

function file(name: string, text: string): string {
  const path = join(folder.path, name);
  writeFileSync(path, text);
  return path;
}

function problemsOf(flags: Record<string, string>, env: Record<string, string> = {}, config?: string): string {
  try {
    loadTable(CLUSTER_SETTINGS, { flags, env, file: config, known: Object.keys(SETTINGS) });
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('settings of a table', () => {
  test('come from the flag, else the environment, else the file, else the default', () => {
    const config = file('config.json', JSON.stringify({ s3Bucket: 'file', s3Region: 'file', s3Prefix: 'file/' }));
    const { values, sources } = loadTable(CLUSTER_SETTINGS, {
      flags: { 's3-bucket': 'flag' },
      env: { LINEPROOF_S3_BUCKET: 'environment', LINEPROOF_S3_REGION: 'environment' },
      file: config,
    });
    expect([values.s3Bucket, values.s3Region, values.s3Prefix, values.chainGroup]).toEqual([
      'flag',
      'environment',
      'file/',
      'lineproof-chainer',
    ]);
    expect([sources.s3Bucket, sources.s3Region, sources.s3Prefix, sources.chainGroup]).toEqual(['flag', 'environment', 'file', 'default']);
  });

  test('are all wrong at once, each named where it was set', () => {
    const config = file('wrong.json', JSON.stringify({ httpPort: 'many', nonsense: 1, lingerMs: true }));
    const problems = problemsOf({ 'kafka-brokers': 'a:1,,b:2' }, { LINEPROOF_KAFKA_SASL: 'kerberos' }, config);
    for (const part of ['--kafka-brokers', 'LINEPROOF_KAFKA_SASL', '"httpPort" in the configuration file', '"nonsense"', '"lingerMs"'])
      expect(problems).toContain(part);
  });

  test('a whole number is between its bounds, both included, and is written in digits', () => {
    const port = (value: string) =>
      loadTable(CLUSTER_SETTINGS, { flags: { 'http-port': value }, env: {}, file: undefined }).values.httpPort;
    expect([port('0'), port('65535')]).toEqual([0, 65_535]);
    for (const wrong of ['65536', '-1', '1.5', '1e3', '', ' 1', '99999999999999999'])
      expect(problemsOf({ 'http-port': wrong })).toContain(
        `--http-port is ${JSON.stringify(wrong)}: it must be a whole number from 0 to 65535`,
      );
  });

  test('of the other table in the same file are not a problem', () => {
    const config = file('both.json', JSON.stringify({ spoolWhenFull: 'refuse', s3Bucket: 'b' }));
    expect(problemsOf({}, {}, config)).toBe('');
  });

  test('a list is split at commas, and must have no empty item', () => {
    expect(loadTable(CLUSTER_SETTINGS, { flags: { 'kafka-brokers': 'a:1, b:2' }, env: {}, file: undefined }).values.kafkaBrokers).toEqual([
      'a:1',
      'b:2',
    ]);
    expect(problemsOf({ 'kafka-brokers': '' })).toContain('--kafka-brokers');
  });
});

describe('a secret', () => {
  const load = (given: string) => loadTable(CLUSTER_SETTINGS, { flags: { 'kafka-password': given }, env: {}, file: undefined });

  test('is what it says, what a file holds, or what a command prints', () => {
    const path = file('secret', 'from a file\n');
    expect(load('plain').values.kafkaPassword).toBe('plain');
    expect(load(`file:${path}`).values.kafkaPassword).toBe('from a file');
    expect(load('command:echo from a command').values.kafkaPassword).toBe('from a command');
  });

  test('is never shown once it is set; an empty one is shown as empty, and a default as help shows it', () => {
    const shown = describeSettings(CLUSTER_SETTINGS, load('hunter2')).filter(({ name }) => name === 'kafkaPassword');
    expect(JSON.stringify(shown)).not.toContain('hunter2');
    expect(shown[0]?.value).toBe('********');
    const unset = describeSettings(CLUSTER_SETTINGS, loadTable(CLUSTER_SETTINGS, { flags: {}, env: {}, file: undefined }));
    expect(unset.find(({ name }) => name === 'registryPassword')?.value).toBe('');
    expect(unset.find(({ name }) => name === 'redisUrl')?.value).toBe('redis://localhost:6379');
  });

  test.each([
    ['file:/nowhere/secret', 'names a file that cannot be read (ENOENT)'],
    ['command:exit 3', 'names a command that failed (3)'],
  ])('%s is a problem that does not repeat it', (given, problem) => {
    const text = problemsOf({ 'kafka-password': given });
    expect(text).toContain(problem);
    expect(text).not.toContain(given);
  });
});

describe('a path in a configuration file', () => {
  test('begins at the folder of the file, whatever the working folder is; one on the command line begins there', () => {
    const config = file('paths.json', JSON.stringify({ kafkaCa: 'ca.pem', keys: './keys', rootKey: 'root.pub', redisUrl: 'file:url' }));
    file('url', 'redis://elsewhere\n');
    const load = (flags: Record<string, string>) => loadTable(CLUSTER_SETTINGS, { flags, env: {}, file: config }).values;
    expect(load({ data: 'here' })).toMatchObject({
      data: 'here',
      kafkaCa: join(folder.path, 'ca.pem'),
      keys: join(folder.path, 'keys'),
      rootKey: `@${join(folder.path, 'root.pub')}`,
      redisUrl: 'redis://elsewhere',
      redisCa: '',
    });
    expect(load({ 'root-key': 'name+00000000+AA==', 'kafka-ca': 'ca.pem' })).toMatchObject({
      rootKey: 'name+00000000+AA==',
      kafkaCa: 'ca.pem',
    });
  });

  test('and a command in it runs in that folder', () => {
    const config = file('command.json', JSON.stringify({ kafkaPassword: 'command:cat ./password' }));
    file('password', 'from beside the file');
    expect(loadTable(CLUSTER_SETTINGS, { flags: {}, env: {}, file: config }).values.kafkaPassword).toBe('from beside the file');
  });
});

describe('a configuration file that cannot be used', () => {
  test.each([
    ['is not JSON', '{"kafkaPassword": hunter2}', /it is not JSON/],
    ['has a name twice', '{"kafkaPassword": "hunter2", "kafkaPassword": "hunter22"}', /"kafkaPassword": the name occurs twice/],
    [
      'has a secret that a number cannot hold',
      '{"kafkaPassword": 12345678901234567891}',
      /the number would be rounded; write it as a string/,
    ],
    [
      'has a secret that is a number',
      '{"kafkaPassword": 1e3}',
      /"kafkaPassword" in the configuration file must be a string: write it in quotes/,
    ],
    ['is not an object', '["hunter2"]', /must hold one JSON object/],
    ['is too long', `"${'hunter2'.repeat(200_000)}"`, /it has more than 1048576 bytes/],
  ])('%s: that is said, and nothing of its content', (_, content, problem) => {
    const text = problemsOf({}, {}, file('bad.json', content));
    expect(text).toMatch(problem);
    expect(text).not.toMatch(/hunter2|1234567/);
  });

  test('gives a name as a number, which would lose its spelling; a whole number may be one', () => {
    const load = (content: string) => loadTable(SETTINGS, { flags: {}, env: {}, file: file('number.json', content) }).values;
    expect(() => load('{"origin": 7.10}')).toThrow(/"origin" in the configuration file must be a string/);
    expect(load('{"shards": 2, "origin": "7.10"}')).toMatchObject({ shards: 2, origin: '7.10' });
  });

  test('names a setting that it must not', () => {
    const config = file('barred.json', JSON.stringify({ data: 'elsewhere' }));
    const load = () => loadTable(SETTINGS, { flags: {}, env: {}, file: config, barred: { data: 'lies in one' } });
    expect(load).toThrow(/"data" in the configuration file lies in one/);
  });
});

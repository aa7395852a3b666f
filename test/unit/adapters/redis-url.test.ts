import { expect, test } from '@jest/globals';
import { parseRedisUrl } from '../../../adapters/redis-url.ts';

test('a URL of one server gives its parts, decoded', () => {
  expect(parseRedisUrl('rediss://us%40er:p%3Aw@[::1]:7000/3')).toEqual({
    kind: 'single',
    tls: true,
    places: [{ host: '::1', port: 7000 }],
    username: 'us@er',
    password: 'p:w',
    db: 3,
    primary: '',
  });
  expect(parseRedisUrl('redis://host')).toMatchObject({
    tls: false,
    places: [{ host: 'host', port: 6379 }],
    username: '',
    password: '',
    db: 0,
  });
  expect(parseRedisUrl('redis://:secret@host/')).toMatchObject({ username: '', password: 'secret' });
});

test('Sentinels and nodes of a cluster are a list', () => {
  expect(parseRedisUrl('redis+sentinel://u:p@a,b:1,[::1]:2/main/4')).toEqual({
    kind: 'sentinel',
    tls: false,
    places: [
      { host: 'a', port: 26_379 },
      { host: 'b', port: 1 },
      { host: '::1', port: 2 },
    ],
    username: 'u',
    password: 'p',
    db: 4,
    primary: 'main',
  });
  expect(parseRedisUrl('rediss+cluster://:p@a:1,b:2')).toMatchObject({ kind: 'cluster', tls: true, password: 'p', db: 0, primary: '' });
});

test.each([
  '',
  'host:6379',
  'http://:secret@host',
  'redis://:secret@host/x',
  'redis://:secret@',
  'redis://:secret%@host',
  'redis://:secret@h?a=1',
  'redis://:secret@a,b',
  'redis+sentinel://:secret@a:1',
  'redis+sentinel://:secret@a:1/',
  'redis+sentinel://:secret@a:1/na me',
  'redis+cluster://:secret@a:1/2',
  'redis+cluster://:secret@a:99999',
  'redis+other://:secret@a',
  `redis+cluster://:secret@${Array.from({ length: 101 }, () => 'a').join(',')}`,
])('%s is refused without being shown', (url) => {
  const refuse = (): unknown => parseRedisUrl(url);
  expect(refuse).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.not.stringContaining('secret') }));
});

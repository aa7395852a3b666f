import { afterEach, expect, test } from '@jest/globals';
import { httpTimestampAuthority } from '../../../adapters/http-timestamp-authority.ts';
import { utf8 } from '../../../core/base/bytes.ts';
import { type StampServer, serve, serveStamps } from '../../support/openssl-authority.ts';

const QUERY = utf8('query');
const REPLY_TYPE = { 'content-type': 'application/timestamp-reply' };
const never = new AbortController().signal;
const servers: StampServer[] = [];

async function started(server: Promise<StampServer>): Promise<string> {
  const made = await server;
  servers.push(made);
  return made.url;
}

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

test('the request is posted whole, and the body of the answer comes back', async () => {
  const url = await started(serveStamps((query) => utf8(`reply to ${Buffer.from(query).toString()}`)));
  expect(await httpTimestampAuthority().ask(url, QUERY, never)).toEqual(utf8('reply to query'));
});

test.each<[string, number, Record<string, string>, string, string]>([
  ['another type', 200, { 'content-type': 'text/html' }, 'x', 'ANSWER_UNUSABLE'],
  ['no type', 200, {}, 'x', 'ANSWER_UNUSABLE'],
  ['a status that says no', 404, REPLY_TYPE, 'x', 'ANSWER_UNUSABLE'],
  ['a redirect, which is not followed', 302, { location: '/other', ...REPLY_TYPE }, '', 'ANSWER_UNUSABLE'],
  ['a status that may pass', 503, REPLY_TYPE, 'x', 'UNAVAILABLE'],
  ['too many requests', 429, REPLY_TYPE, 'x', 'UNAVAILABLE'],
  ['more than a time stamp can have', 200, REPLY_TYPE, 'x'.repeat(70_000), 'ANSWER_UNUSABLE'],
])('an answer with %s is an error', async (_, status, headers, body, code) => {
  const paths: string[] = [];
  const url = await started(
    serve((request, response) => {
      paths.push(request.url ?? '');
      response.writeHead(status, headers);
      response.end(body);
    }),
  );
  await expect(httpTimestampAuthority().ask(url, QUERY, never)).rejects.toMatchObject({ code });
  expect(paths).toEqual(['/']);
});

test('an answer without an end is cut off at the bound', async () => {
  const url = await started(
    serve((_request, response) => {
      response.writeHead(200, REPLY_TYPE);
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(8192)));
      };
      response.on('drain', more);
      more();
    }),
  );
  await expect(httpTimestampAuthority().ask(url, QUERY, never)).rejects.toMatchObject({ code: 'ANSWER_UNUSABLE' });
});

test('a server that takes the request and says nothing, or stops in the middle, ends at the time-out', async () => {
  const mute = await started(serve(() => undefined));
  const halting = await started(serve((_request, response) => void response.writeHead(200, REPLY_TYPE).write('x')));
  for (const url of [mute, halting])
    await expect(httpTimestampAuthority(50).ask(url, QUERY, never)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

test('a server that nobody runs is unavailable, and a stop ends the wait', async () => {
  const url = await started(serve(() => undefined));
  const stop = new AbortController();
  const asked = httpTimestampAuthority().ask(url, QUERY, stop.signal);
  stop.abort();
  await expect(asked).rejects.toMatchObject({ code: 'CLOSED' });
  await servers.pop()?.close();
  await expect(httpTimestampAuthority().ask(url, QUERY, never)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

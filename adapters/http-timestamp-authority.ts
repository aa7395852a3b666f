import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import { LIMITS } from '../core/base/limits.ts';
import type { TimestampAuthority } from '../core/ports/timestamp-authority.ts';

/** An authority that has not answered completely after this long has failed. */
export const STAMP_TIMEOUT_MS = 10_000;
const REPLY_TYPE = 'application/timestamp-reply';

/**
 * RFC 3161 over HTTP (§3.4): one POST for each request, on a connection of its own. Follows no redirect: the policy names the URL. Reads no more than a time stamp
 * can have, whatever the server states, and waits for `timeoutMs` at most from the call to the last byte.
 */
export function httpTimestampAuthority(timeoutMs = STAMP_TIMEOUT_MS): TimestampAuthority {
  return {
    ask: async (url, request, signal) => {
      const deadline = AbortSignal.timeout(timeoutMs);
      try {
        return await post(url, request, AbortSignal.any([signal, deadline]));
      } catch (error) {
        if (signal.aborted) throw new LineproofError('CLOSED', `stopped asking ${url} for a time stamp`);
        if (deadline.aborted) throw new LineproofError('UNAVAILABLE', `cannot get a time stamp: ${url} gave no answer in ${timeoutMs} ms`);
        if (error instanceof LineproofError) throw error;
        throw new LineproofError('UNAVAILABLE', `cannot get a time stamp from ${url}: ${messageOf(error)}`, {}, error);
      }
    },
  };
}

async function post(url: string, body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  const send = url.startsWith('https:') ? httpsRequest : httpRequest;
  const headers = { 'content-type': 'application/timestamp-query', accept: REPLY_TYPE, 'content-length': body.length };
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = send(url, { method: 'POST', headers, signal, agent: false }, resolve);
    sent.on('error', reject);
    sent.end(body);
  });
  try {
    return await readReply(url, answer);
  } finally {
    answer.destroy();
  }
}

async function readReply(url: string, answer: IncomingMessage): Promise<Uint8Array> {
  const unusable = (fact: string): LineproofError =>
    new LineproofError('ANSWER_UNUSABLE', `cannot use the answer of ${url}: ${fact}; correct the url in the policy, or wait`);
  const { statusCode = 0, headers } = answer;
  if (statusCode >= 500 || statusCode === 429)
    throw new LineproofError('UNAVAILABLE', `cannot get a time stamp: ${url} answers with status ${statusCode}`);
  if (statusCode !== 200) throw unusable(`its status is ${statusCode}`);
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type !== REPLY_TYPE) throw unusable(`its content type is not ${REPLY_TYPE}`);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of answer as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > LIMITS.stampBytes) throw unusable(`it has more than ${LIMITS.stampBytes} bytes`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

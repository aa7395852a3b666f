import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { toBase64, utf8Text } from '../core/base/bytes.ts';
import { LineproofError, messageOf } from '../core/base/errors.ts';
import { LIMITS } from '../core/base/limits.ts';
import { ADD_CHECKPOINT, type Witness, type WitnessAnswer } from '../core/ports/witness.ts';

/** Longest time for one question, connection included. */
const REQUEST_MS = 10_000;
/** So much of a refusal's text is kept. */
const REASON_CHARACTERS = 200;

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** A witness at an address (C2SP tlog-witness): `add-checkpoint` is asked below it. Follows no redirect and reads no more than a note can be. */
export function httpWitness(url: string, requestMs = REQUEST_MS): Witness {
  const target = new URL(`${url.replace(/\/$/, '')}/add-checkpoint`);
  return {
    name: url,
    addCheckpoint: async (checkpoint, oldSize, proof, signal) => {
      const body = `old ${oldSize}\n${proof.map((hash) => `${toBase64(hash)}\n`).join('')}\n${checkpoint}`;
      return answerOf(url, await ask(target, body, AbortSignal.any([signal, AbortSignal.timeout(requestMs)])));
    },
  };
}

function unavailable(url: string, fact: string, cause?: unknown): LineproofError {
  return new LineproofError('UNAVAILABLE', `witness ${url} gives no usable answer: ${fact}`, { url }, cause);
}

function answerOf(url: string, { status, type, body }: Answer): WitnessAnswer {
  if (status === 200) return { kind: 'cosigned', signatures: body };
  if (status === 409 && type === ADD_CHECKPOINT.sizeType) {
    const size = /^(0|[1-9][0-9]{0,15})\n$/.exec(body)?.[1];
    if (size !== undefined && Number.isSafeInteger(Number(size))) return { kind: 'conflict', size: Number(size) };
  }
  if (status === 429 || status >= 500) throw unavailable(url, `it answers ${status}`);
  return { kind: 'refused', status, reason: body.slice(0, REASON_CHARACTERS).trim() };
}

/** Sends the question and reads the answer to its end. Throws UNAVAILABLE. */
async function ask(target: URL, body: string, signal: AbortSignal): Promise<Answer> {
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const options = {
        method: 'POST',
        signal,
        headers: { 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(body) },
      };
      const question: ClientRequest = (target.protocol === 'https:' ? httpsRequest : httpRequest)(target, options);
      question.on('error', reject);
      question.on('response', (response) => void readAnswer(response).then(resolve, reject));
      question.end(body);
    });
  } catch (error) {
    throw unavailable(target.href, signal.aborted ? 'it took too long, or nobody waits any more' : messageOf(error), error);
  }
}

async function readAnswer(response: IncomingMessage): Promise<Answer> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of response as AsyncIterable<Uint8Array>) {
    length += piece.length;
    if (length > LIMITS.noteBytes) {
      response.destroy();
      throw new Error(`its answer is longer than ${LIMITS.noteBytes} bytes`);
    }
    pieces.push(piece);
  }
  const [type = ''] = (response.headers['content-type'] ?? '').split(';');
  return { status: response.statusCode ?? 0, type: type.trim(), body: utf8Text(Buffer.concat(pieces)) };
}

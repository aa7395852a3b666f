import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** `host:port` of a server. */
export interface ServerPlace {
  readonly host: string;
  readonly port: number;
}

const PROBE_MS = 2_000;
/** An answer to the probe has less than 1 kB; whatever is longer is not read. */
const MAX_ANSWER_BYTES = 4_096;
/** KIP-43: SaslHandshake; version 1 of the request, with correlation id 7, no client id, and a mechanism that nobody has. */
const SASL_HANDSHAKE = 17;
const UNSUPPORTED_SASL_MECHANISM = 33;
const ILLEGAL_SASL_STATE = 34;

/** Whether a server completes a TLS handshake; its certificate is not judged, and nothing is sent. False if it gives no answer. */
export function speaksTls({ host, port }: ServerPlace): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTls({ host, port, rejectUnauthorized: false });
    const end = (answer: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end(false), PROBE_MS);
    socket.on('secureConnect', () => end(true));
    // A server that asks for a client's certificate says so after the handshake, or ends it with an alert: both are TLS.
    socket.on('error', (error: NodeJS.ErrnoException) => end(/_ALERT_/.test(error.code ?? '')));
    socket.on('close', () => end(false));
  });
}

/** How a Kafka listener answers without TLS: it asks for a login by SASL, it has none, or it gives no answer that Kafka gives. */
export async function plaintextKafka({ host, port }: ServerPlace): Promise<'sasl' | 'open' | undefined> {
  const mechanism = Buffer.from('-');
  const request = Buffer.alloc(4 + 10 + 2 + mechanism.length);
  request.writeInt32BE(request.length - 4, 0);
  request.writeInt16BE(SASL_HANDSHAKE, 4);
  request.writeInt16BE(1, 6);
  request.writeInt32BE(7, 8);
  request.writeInt16BE(-1, 12);
  request.writeInt16BE(mechanism.length, 14);
  mechanism.copy(request, 16);
  const answer = await ask({ host, port }, request, 10);
  if (answer === undefined || answer.readInt32BE(4) !== 7) return undefined;
  const code = answer.readInt16BE(8);
  if (code === UNSUPPORTED_SASL_MECHANISM) return 'sasl';
  return code === ILLEGAL_SASL_STATE ? 'open' : undefined;
}

/** Whether a server answers PING as Redis does, without TLS. To a client with TLS it says nothing: it waits for the end of a line. */
export async function plaintextRedis(place: ServerPlace): Promise<boolean> {
  const answer = await ask(place, Buffer.from('PING\r\n'), 5);
  return answer !== undefined && /^(?:\+PONG|-NOAUTH|-NOPERM|-LOADING|-DENIED|-MASTERDOWN)/.test(answer.toString('latin1'));
}

/** The first `bytes` bytes of an answer, or more; undefined if there are not so many. */
function ask({ host, port }: ServerPlace, request: Uint8Array, bytes: number): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let answer = Buffer.alloc(0);
    const end = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer.length >= bytes ? answer : undefined);
    };
    const timer = setTimeout(end, PROBE_MS);
    socket.on('connect', () => socket.write(request));
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk.subarray(0, MAX_ANSWER_BYTES)]);
      if (answer.length >= bytes) end();
    });
    socket.on('error', end);
    socket.on('close', end);
  });
}

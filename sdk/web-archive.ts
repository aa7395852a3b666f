import { LineproofError, messageOf } from '../core/base/errors.ts';
import type { ObjectReader } from '../prover/attested/noted-archive.ts';

const TIMEOUT_MS = 10_000;
/** More than any object that a proof of one event needs. */
const MAX_BYTES = 64 * 1024 * 1024;

/** An archive behind a web server: its objects are read as `<url>/<key>`. A 404 is an object that is not there; any other answer but 200 throws UNAVAILABLE. */
export function webArchive(url: string, headers: Readonly<Record<string, string>> = {}): ObjectReader {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new LineproofError('CONFIG_INVALID', `cannot read the archive at ${JSON.stringify(url)}: it must be an http or https URL`);
  const base = url.endsWith('/') ? url : `${url}/`;
  return { get: (key) => read(`${base}${key}`, headers) };
}

async function read(address: string, headers: Readonly<Record<string, string>>): Promise<Uint8Array | undefined> {
  const cannot = (fact: string, cause?: unknown): LineproofError =>
    new LineproofError('UNAVAILABLE', `cannot read ${address}: ${fact}`, {}, cause);
  let answer: Response;
  try {
    answer = await fetch(address, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (answer.status === 200) return await bounded(answer, cannot);
  } catch (error) {
    throw error instanceof LineproofError ? error : cannot(messageOf(error), error);
  }
  await answer.body?.cancel();
  if (answer.status === 404) return undefined;
  throw cannot(`the server answers ${answer.status}`);
}

async function bounded(answer: Response, cannot: (fact: string) => LineproofError): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of answer.body ?? []) {
    parts.push(part);
    length += part.length;
    if (length > MAX_BYTES) throw cannot(`the object has more than ${MAX_BYTES} bytes`);
  }
  return new Uint8Array(Buffer.concat(parts));
}

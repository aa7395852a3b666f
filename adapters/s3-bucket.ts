import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectLockConfigurationCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  type UploadPartCommandInput,
} from '@aws-sdk/client-s3';
import { hasCode, LineproofError } from '../core/base/errors.ts';
import type { ByteRange, Pieces, StoredObject } from '../core/ports/object-store.ts';
import { s3Error, s3Outcome } from './s3-error.ts';

// The SDK asks every user on Node 20 to upgrade. This version of it supports that Node, and so do we.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';

/** How a bucket is reached, as users of the AWS SDK name it. */
export interface S3Settings {
  /** Of an S3-compatible server, `http[s]://host[:port]`; absent: AWS. */
  readonly endpoint?: string;
  readonly region: string;
  readonly bucket: string;
  /** Prefix of all keys of the archive in the bucket: empty, or names that each end in a slash. */
  readonly prefix?: string;
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. */
  readonly forcePathStyle: boolean;
  /** Absent: environment, profile, container or instance role, as everywhere with AWS. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string };
  /** Authorities (PEM) instead of the system's. */
  readonly tls?: { readonly ca?: string };
  /** Lock of the objects that are never replaced, and its duration; the bucket must have been made with object lock. */
  readonly objectLock?: { readonly mode: 'GOVERNANCE' | 'COMPLIANCE'; readonly days: number };
  /** A request has failed if its answer does not begin, or makes no progress, for this many milliseconds. */
  readonly requestTimeoutMs: number;
  /** Objects from `fromBytes` on are sent in parts of `partBytes`, at least 5 MiB each. */
  readonly multipart?: { readonly fromBytes: number; readonly partBytes: number };
}

/** Condition on the present object: there is none, or it has this tag. */
export type WriteCondition = { readonly kind: 'absent' } | { readonly kind: 'tag'; readonly etag: string };

interface ConditionHeaders {
  readonly IfNoneMatch?: string;
  readonly IfMatch?: string;
}

interface WriteTarget {
  readonly Bucket: string;
  readonly Key: string;
  readonly Metadata: Record<string, string>;
}

export interface ListedKey {
  readonly key: string;
  readonly size: number;
}

/** Name of the metadata in which a write leaves its mark. */
const MARK = 'lineproof-write';
const MULTIPART = { fromBytes: 64 * 1024 * 1024, partBytes: 16 * 1024 * 1024 };
const PARTS_AT_ONCE = 4;
const CONFLICT_TRIES = 8;
const READ_TRIES = 4;
const DAY_MS = 86_400_000;

/** One bucket through the AWS SDK, whose retries are off: it cannot know which conditional write may be repeated. Keys are those of S3. */
export class S3Bucket {
  readonly #settings: S3Settings;
  readonly #client: S3Client;
  #closed = false;

  constructor(settings: S3Settings) {
    this.#settings = settings;
    const { endpoint, region, forcePathStyle, credentials, tls, requestTimeoutMs } = settings;
    this.#client = new S3Client({
      region,
      forcePathStyle,
      maxAttempts: 1,
      requestHandler: {
        connectionTimeout: requestTimeoutMs,
        requestTimeout: requestTimeoutMs,
        socketTimeout: requestTimeoutMs,
        throwOnRequestTimeout: true,
        httpsAgent: { keepAlive: true, maxSockets: 64, ...(tls?.ca === undefined ? {} : { ca: tls.ca }) },
      },
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials === undefined ? {} : { credentials }),
    });
  }

  /** The object or a part of it; undefined if there is none. */
  get(key: string, range?: ByteRange): Promise<StoredObject | undefined> {
    return this.#reading(`read ${key}`, async () => {
      if (range !== undefined && range.end <= range.start) return this.#head(key);
      try {
        const Range = range === undefined ? undefined : `bytes=${range.start}-${range.end - 1}`;
        const answer = await this.#client.send(new GetObjectCommand({ ...this.#at(key), Range }));
        const bytes = (await answer.Body?.transformToByteArray()) ?? new Uint8Array(0);
        const whole = range !== undefined && answer.ContentRange === undefined;
        return { bytes: whole ? bytes.subarray(range.start, range.end) : bytes, etag: parseTag(answer.ETag) };
      } catch (error) {
        if (s3Outcome(error) === 'unsatisfiable') return this.#head(key);
        throw error;
      }
    });
  }

  /**
   * Writes the object if `condition` holds, and locks it if `locked` is true and a lock is configured. Returns the new tag; undefined if the condition did
   * not hold. Each write leaves a unique mark beside the bytes: if the answer is lost, the mark tells whether our write succeeded.
   * Throws UNAVAILABLE if the outcome stays unknown.
   */
  async write(key: string, content: Uint8Array | Pieces, condition: WriteCondition, locked: boolean): Promise<string | undefined> {
    const act = `write ${key}`;
    this.#checkOpen(act);
    const mark = randomBytes(16).toString('hex');
    const target = { ...this.#at(key), ...this.#lock(locked), Metadata: { [MARK]: mark } };
    for (let tries = 1; ; tries++) {
      try {
        return await this.#send(target, content, headersOf(condition));
      } catch (error) {
        const outcome = s3Outcome(error);
        if (outcome === 'refused' || outcome === 'missing') return undefined;
        if (outcome === 'unknown') return this.#whatIsThere(key, mark, condition, s3Error(act, error));
        if (outcome !== 'conflict' || tries === CONFLICT_TRIES) throw s3Error(act, error);
      }
      await pause(tries);
    }
  }

  /** Keys that start with `prefix`, page by page, as the server orders them. */
  async *list(prefix: string): AsyncGenerator<ListedKey> {
    let token: string | undefined;
    do {
      const asked: string | undefined = token;
      const page = await this.#reading(`list ${prefix}`, () =>
        this.#client.send(
          new ListObjectsV2Command({ Bucket: this.#settings.bucket, Prefix: prefix, ContinuationToken: asked, EncodingType: 'url' }),
        ),
      );
      for (const { Key, Size } of page?.Contents ?? []) {
        const key = page?.EncodingType === 'url' ? decodeKey(Key ?? '') : Key;
        if (key !== undefined) yield { key, size: Size ?? 0 };
      }
      token = page?.IsTruncated === true ? page.NextContinuationToken : undefined;
      if (page?.IsTruncated === true && (token === undefined || token === asked))
        throw new LineproofError('UNAVAILABLE', `cannot list ${prefix}: the server does not say how its list continues`);
    } while (token !== undefined);
  }

  /** Removes the object, or hides it if the bucket keeps versions. */
  async delete(key: string): Promise<void> {
    const act = `delete ${key}`;
    this.#checkOpen(act);
    try {
      await this.#client.send(new DeleteObjectCommand(this.#at(key)));
    } catch (error) {
      if (s3Outcome(error) !== 'missing') throw s3Error(act, error);
    }
  }

  /** Whether the bucket was made with object lock. */
  async hasObjectLock(): Promise<boolean> {
    const found = await this.#reading('read the object lock of the bucket', () =>
      this.#client.send(new GetObjectLockConfigurationCommand({ Bucket: this.#settings.bucket })),
    );
    return found?.ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled';
  }

  close(): void {
    this.#closed = true;
    this.#client.destroy();
  }

  async #head(key: string): Promise<StoredObject> {
    const { ETag } = await this.#client.send(new HeadObjectCommand(this.#at(key)));
    return { bytes: new Uint8Array(0), etag: parseTag(ETag) };
  }

  async #whatIsThere(key: string, mark: string, condition: WriteCondition, failure: LineproofError): Promise<string | undefined> {
    const there = await this.#reading(`read ${key}`, () => this.#client.send(new HeadObjectCommand(this.#at(key)))).catch(() => undefined);
    if (there === undefined) throw failure;
    const etag = parseTag(there.ETag);
    if (there.Metadata?.[MARK] === mark) return etag;
    // The object is unchanged: the write has not happened, but may still happen.
    if (condition.kind === 'tag' && condition.etag === etag) throw failure;
    return undefined;
  }

  async #send(target: WriteTarget, content: Uint8Array | Pieces, headers: ConditionHeaders): Promise<string> {
    const { fromBytes, partBytes } = this.#settings.multipart ?? MULTIPART;
    if (!(content instanceof Uint8Array)) return this.#sendPieces(target, equalParts(content, partBytes), headers);
    if (content.length < fromBytes) return this.#put(target, content, headers);
    return this.#sendParts(target, split(content, partBytes), headers);
  }

  /** What fits into one part is sent at once. */
  async #sendPieces(target: WriteTarget, parts: AsyncGenerator<Uint8Array, void>, headers: ConditionHeaders): Promise<string> {
    const [first, second] = [await parts.next(), await parts.next()];
    if (second.done === true) return this.#put(target, first.done === true ? new Uint8Array(0) : first.value, headers);
    return this.#sendParts(target, followed([first.value as Uint8Array, second.value], parts), headers);
  }

  async #put(target: WriteTarget, bytes: Uint8Array, headers: ConditionHeaders): Promise<string> {
    const put = new PutObjectCommand({ ...target, ...headers, Body: bytes, ChecksumSHA256: sha256(bytes) });
    return parseTag((await this.#client.send(put)).ETag);
  }

  /** The object comes into being, and its condition is judged, when the upload is completed. */
  async #sendParts(target: WriteTarget, parts: readonly Uint8Array[] | Pieces, headers: ConditionHeaders): Promise<string> {
    const { UploadId } = await this.#client.send(new CreateMultipartUploadCommand({ ...target, ChecksumAlgorithm: 'SHA256' }));
    const upload = { Bucket: target.Bucket, Key: target.Key, UploadId };
    try {
      const Parts: CompletedPart[] = [];
      for await (const some of grouped(parts)) {
        const sent = Parts.length;
        Parts.push(...(await Promise.all(some.map((bytes, i) => this.#sendPart({ ...upload, PartNumber: sent + i + 1 }, bytes)))));
      }
      const complete = new CompleteMultipartUploadCommand({ ...upload, ...headers, MultipartUpload: { Parts } });
      return parseTag((await this.#client.send(complete)).ETag);
    } catch (error) {
      // S3 would keep an incomplete upload, invisible but charged for. If this fails too, the bucket's life cycle must remove it.
      await this.#client.send(new AbortMultipartUploadCommand(upload)).catch(() => undefined);
      throw error;
    }
  }

  async #sendPart(part: UploadPartCommandInput, bytes: Uint8Array): Promise<CompletedPart> {
    const ChecksumSHA256 = sha256(bytes);
    const { ETag } = await this.#client.send(new UploadPartCommand({ ...part, Body: bytes, ChecksumSHA256 }));
    return { PartNumber: part.PartNumber, ETag, ChecksumSHA256 };
  }

  #at(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#settings.bucket, Key: key };
  }

  #lock(locked: boolean): { readonly ObjectLockMode?: 'GOVERNANCE' | 'COMPLIANCE'; readonly ObjectLockRetainUntilDate?: Date } {
    const { objectLock } = this.#settings;
    if (!locked || objectLock === undefined) return {};
    return { ObjectLockMode: objectLock.mode, ObjectLockRetainUntilDate: new Date(Date.now() + objectLock.days * DAY_MS) };
  }

  /** Reads may be repeated: a few times here, so that a passing failure does not end a verdict over thousands of objects. */
  async #reading<T>(act: string, read: () => Promise<T>): Promise<T | undefined> {
    for (let tries = 1; ; tries++) {
      this.#checkOpen(act);
      try {
        return await read();
      } catch (error) {
        if (s3Outcome(error) === 'missing') return undefined;
        const failure = s3Error(act, error);
        if (tries === READ_TRIES || !hasCode(failure, 'UNAVAILABLE')) throw failure;
      }
      await pause(tries);
    }
  }

  #checkOpen(act: string): void {
    if (this.#closed) throw new LineproofError('UNAVAILABLE', `cannot ${act}: the object store is closed`);
  }
}

function headersOf(condition: WriteCondition): ConditionHeaders {
  return condition.kind === 'absent' ? { IfNoneMatch: '*' } : { IfMatch: `"${condition.etag}"` };
}

/** A tag without the quotes that some servers give and others do not. */
function parseTag(etag: string | undefined): string {
  if (etag === undefined || etag === '')
    throw new LineproofError('UNAVAILABLE', 'cannot use the answer of the object store: it has no ETag');
  return etag.replace(/^(?:W\/)?"(.*)"$/, '$1');
}

function decodeKey(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64');
}

function split(bytes: Uint8Array, partBytes: number): Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / partBytes) }, (_, i) => bytes.subarray(i * partBytes, (i + 1) * partBytes));
}

/** As many parts as are sent at once. */
async function* grouped(parts: readonly Uint8Array[] | Pieces): AsyncGenerator<readonly Uint8Array[]> {
  let group: Uint8Array[] = [];
  for await (const part of parts) {
    group.push(part);
    if (group.length < PARTS_AT_ONCE) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** The same bytes in parts of one size, as some servers demand; the last one may be shorter. */
async function* equalParts(pieces: Pieces, partBytes: number): AsyncGenerator<Uint8Array, void> {
  let [part, length] = [new Uint8Array(partBytes), 0];
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const taken = piece.subarray(at, at + partBytes - length);
      part.set(taken, length);
      length += taken.length;
      at += taken.length;
      if (length < partBytes) continue;
      yield part;
      [part, length] = [new Uint8Array(partBytes), 0];
    }
  }
  if (length > 0) yield part.subarray(0, length);
}

async function* followed(first: readonly Uint8Array[], rest: Pieces): AsyncGenerator<Uint8Array> {
  yield* first;
  yield* rest;
}

/** Waits longer each time, and a different time than others that wait for the same. */
async function pause(tries: number): Promise<void> {
  await delay(25 * 2 ** tries * (0.5 + Math.random()));
}

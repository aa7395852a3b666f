import { randomBytes } from 'node:crypto';
import { utf8 } from '../core/base/bytes.ts';
import { LineproofError } from '../core/base/errors.ts';
import { checkObjectKey } from '../core/base/object-key.ts';
import type { ByteRange, ListedObject, ObjectStore, Pieces, StoredObject } from '../core/ports/object-store.ts';
import { S3Bucket, type S3Settings } from './s3-bucket.ts';

/** Opens the {@link ObjectStore} on a bucket; sends no request yet. A writer calls {@link checkObjectStore} first. Throws CONFIG_INVALID. */
export function openS3ObjectStore(settings: S3Settings): ObjectStore {
  checkSettings(settings);
  return new S3ObjectStore(new S3Bucket(settings), settings.prefix ?? '');
}

class S3ObjectStore implements ObjectStore {
  readonly #bucket: S3Bucket;
  readonly #prefix: string;

  constructor(bucket: S3Bucket, prefix: string) {
    this.#bucket = bucket;
    this.#prefix = prefix;
  }

  async get(key: string, range?: ByteRange): Promise<StoredObject | undefined> {
    checkObjectKey(key);
    return this.#bucket.get(this.#prefix + key, range);
  }

  async create(key: string, content: Uint8Array | Pieces): Promise<boolean> {
    checkObjectKey(key);
    return (await this.#bucket.write(this.#prefix + key, content, { kind: 'absent' }, true)) !== undefined;
  }

  /** Objects that may be replaced are never locked. */
  async replace(key: string, bytes: Uint8Array, etag: string | undefined): Promise<string | undefined> {
    checkObjectKey(key);
    return this.#bucket.write(this.#prefix + key, bytes, etag === undefined ? { kind: 'absent' } : { kind: 'tag', etag }, false);
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    // No key starts with such a prefix, and not every server accepts it.
    if (!/^[A-Za-z0-9._/-]*$/.test(prefix)) return;
    let last = '';
    for await (const listed of this.#bucket.list(this.#prefix + prefix)) {
      const key = listed.key.slice(this.#prefix.length);
      if (!isKey(key)) continue;
      if (key <= last)
        throw new LineproofError(
          'CONFIG_INVALID',
          `cannot list ${prefix}: the server does not list in the order of bytes; use another server`,
        );
      last = key;
      yield { key, size: listed.size };
    }
  }

  async delete(key: string): Promise<void> {
    checkObjectKey(key);
    await this.#bucket.delete(this.#prefix + key);
  }

  async close(): Promise<void> {
    this.#bucket.close();
  }
}

/**
 * Tries whether the bucket exists and keeps the promises that the archive relies on. Throws CONFIG_INVALID, with a way out, if not.
 * The key of its test object is not a key of an archive. The object is deleted if that is allowed.
 */
export async function checkObjectStore(settings: S3Settings): Promise<void> {
  checkSettings(settings);
  const bucket = new S3Bucket(settings);
  const key = `${settings.prefix ?? ''}.probe-${randomBytes(8).toString('hex')}`;
  try {
    if (settings.objectLock !== undefined && !(await bucket.hasObjectLock()))
      throw refusal(
        settings,
        'it has no object lock, which can only be turned on when a bucket is made; make another bucket, or configure no lock',
      );
    await probe(settings, bucket, key);
  } finally {
    // If deleting is denied, the object stays and does no harm.
    await bucket.delete(key).catch(() => undefined);
    bucket.close();
  }
}

async function probe(settings: S3Settings, bucket: S3Bucket, key: string): Promise<void> {
  const write = (text: string, etag?: string): Promise<string | undefined> =>
    bucket.write(key, utf8(text), etag === undefined ? { kind: 'absent' } : { kind: 'tag', etag }, false);
  const etag = await write('first');
  if (etag === undefined) throw refusal(settings, 'it says that a new key exists already');
  if ((await write('second')) !== undefined)
    throw refusal(
      settings,
      'it ignores If-None-Match, so an archived object could be overwritten; use a server that has conditional writes',
    );
  if ((await write('third', '0'.repeat(32))) !== undefined)
    throw refusal(
      settings,
      'it ignores If-Match, so two checkpoints could contradict each other; use a server that has conditional writes',
    );
  if ((await write('fourth', etag)) === undefined)
    throw refusal(settings, 'it refuses If-Match with the right tag; use a server that has conditional writes');
}

function refusal({ bucket }: S3Settings, fact: string): LineproofError {
  return new LineproofError('CONFIG_INVALID', `cannot use bucket ${bucket}: ${fact}`);
}

function checkSettings({ endpoint, prefix, tls, objectLock, multipart }: S3Settings): void {
  const invalid = (fact: string): LineproofError => new LineproofError('CONFIG_INVALID', `cannot use the object store: ${fact}`);
  if (endpoint !== undefined && !/^https?:$/.test(URL.canParse(endpoint) ? new URL(endpoint).protocol : ''))
    throw invalid('its endpoint is not http[s]://host[:port]');
  if (tls?.ca !== undefined && endpoint?.startsWith('http:') === true)
    throw invalid('authorities are given, but its endpoint is not https://');
  if (prefix !== undefined && prefix !== '' && !(prefix.endsWith('/') && isKey(prefix.slice(0, -1))))
    throw invalid('its prefix is not made of plain names that each end in a slash');
  if (objectLock !== undefined && !(Number.isInteger(objectLock.days) && objectLock.days > 0))
    throw invalid('the days of its object lock are not a whole number above 0');
  if (multipart !== undefined && multipart.partBytes < 5 * 1024 * 1024) throw invalid('parts have at least 5 MiB');
}

function isKey(key: string): boolean {
  try {
    checkObjectKey(key);
    return true;
  } catch {
    return false;
  }
}

import type { S3Settings } from '../adapters/s3-bucket.ts';
import type { Policy } from '../core/policy/policy-document.ts';
import type { ObjectStore } from '../core/ports/object-store.ts';
import type { ClusterSettings } from '../settings/cluster-settings.ts';
import { REQUEST_TIMEOUT_MS, tlsOf } from './connection.ts';

/** A place in an object store: `s3://BUCKET/PREFIX`. */
export interface BucketPlace {
  readonly bucket: string;
  /** Empty, or ends in a slash. */
  readonly prefix: string;
}

/** The settings by which a bucket is reached; none of them is a secret or runs a command. */
export type S3Access = Pick<ClusterSettings, 's3Endpoint' | 's3Region' | 's3PathStyle' | 's3Ca'>;

/** How one kind of object store is opened and checked. */
interface StoreKind {
  open(place: BucketPlace, settings: S3Access, lock: Policy['objectLock']): Promise<ObjectStore>;
  /** Refuses a store on which write-once would not hold; throws CONFIG_INVALID. */
  check(place: BucketPlace, settings: S3Access, lock: Policy['objectLock']): Promise<void>;
}

/**
 * The kinds of object stores, by the scheme of their URL. A new one is an adapter and a row here; CONTRIBUTING.md ("an object store") lists the
 * other files. With the second kind, {@link SERVICES} becomes a setting, and the services' place is no longer that of S3 alone.
 * Each is loaded when it is needed: clients of servers take long to load.
 */
const KINDS = {
  s3: {
    open: async (place, settings, lock) => (await import('../adapters/s3-object-store.ts')).openS3ObjectStore(s3Of(place, settings, lock)),
    check: async (place, settings, lock) => (await import('../adapters/s3-object-store.ts')).checkObjectStore(s3Of(place, settings, lock)),
  },
} as const satisfies Readonly<Record<string, StoreKind>>;

type Scheme = keyof typeof KINDS;

/** The kind that the services write to. */
const SERVICES: Scheme = 's3';

const URL_FORM = /^([a-z0-9]+):\/\/([^/]+)(?:\/(.*))?$/;

/** Opens the store that the settings name, to write and to read. */
export function openObjectStore(settings: ClusterSettings, lock: Policy['objectLock'] = null): Promise<ObjectStore> {
  return KINDS[SERVICES].open({ bucket: settings.s3Bucket, prefix: settings.s3Prefix }, settings, lock);
}

/** Refuses the store that the settings name if write-once would not hold on it. Throws CONFIG_INVALID or UNAVAILABLE. */
export function checkObjectStore(settings: ClusterSettings, lock: Policy['objectLock']): Promise<void> {
  return KINDS[SERVICES].check({ bucket: settings.s3Bucket, prefix: settings.s3Prefix }, settings, lock);
}

/** Opens the store at a URL; undefined if `text` is not the URL of a store that this version knows. */
export async function openObjectStoreAt(text: string, settings: () => S3Access): Promise<ObjectStore | undefined> {
  const [, scheme = '', bucket = '', prefix = ''] = URL_FORM.exec(text) ?? [];
  if (!isScheme(scheme)) return undefined;
  const place = { bucket, prefix: prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/` };
  return KINDS[scheme].open(place, settings(), null);
}

function isScheme(text: string): text is Scheme {
  return Object.hasOwn(KINDS, text);
}

function s3Of({ bucket, prefix }: BucketPlace, settings: S3Access, lock: Policy['objectLock']): S3Settings {
  const { s3Endpoint, s3Region, s3PathStyle, s3Ca } = settings;
  return {
    bucket,
    prefix,
    region: s3Region,
    forcePathStyle: s3PathStyle === 'on',
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    ...(s3Endpoint === '' ? {} : { endpoint: s3Endpoint }),
    ...tlsOf(s3Ca, 's3Ca'),
    ...(lock === null ? {} : { objectLock: { mode: lock.mode as 'GOVERNANCE' | 'COMPLIANCE', days: lock.days } }),
  };
}

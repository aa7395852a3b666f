import { LineproofError } from '../core/base/errors.ts';

/** The servers that a service works with. */
export type Dependency = 'Kafka' | 'Redis' | 'registry' | 'S3';

/** What an answer, or the lack of one, means. */
export interface Refusal {
  /** The setting, or the thing on the server, that a person must change if it lasts; undefined: it passes, and is waited for however long. */
  readonly setting?: string;
  /** The fact, and what to do about it: the end of a message "cannot …: …". */
  readonly fact: string;
}

const S3_CREDENTIALS = 'the credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, profile or role)';
const UNTRUSTED = "its certificate is not signed by an authority that is trusted here; name that authority's file";
const OTHER_NAME = 'its certificate is for another name; use the name that is in the certificate';
const EXPIRED = 'its certificate is not valid now; renew it there, or set the clock of this machine';
const OWN_CERTIFICATE = 'it refuses the certificate of this client, or that there is none';

/**
 * Every refusal that is told from others, by server: whether it passes, or what a person must change if it lasts. Anything that is not here passes.
 * docs/refusals.md has a table of each server, and a test compares.
 */
export const REFUSALS = {
  Kafka: {
    SASL_MECHANISM: { setting: 'kafkaSasl', fact: 'the broker does not accept this SASL mechanism; use one that its listener offers' },
    SASL_LISTENER: { setting: 'kafkaSasl', fact: 'the listener asks for a login by SASL; name its mechanism, user and password' },
    NO_SASL_LISTENER: { setting: 'kafkaSasl', fact: 'the listener has no login; set it to none or use another listener' },
    SASL_REFUSED: { setting: 'kafkaUsername, kafkaPassword', fact: 'the broker refuses user name or password' },
    SASL_UNANSWERED: { fact: 'the login by SASL was cut off or not answered' },
    SPEAKS_TLS: { setting: 'kafkaTls', fact: 'the broker speaks TLS on this port; set it to on, or use another port' },
    SPEAKS_PLAINTEXT: { setting: 'kafkaTls', fact: 'the broker speaks no TLS on this port; set it to off, or use another port' },
    CERTIFICATE_UNTRUSTED: { setting: 'kafkaCa', fact: UNTRUSTED },
    CERTIFICATE_NAME: { setting: 'kafkaBrokers', fact: OTHER_NAME },
    CERTIFICATE_EXPIRED: { fact: EXPIRED },
    CERTIFICATE_OWN: { setting: 'kafkaCert, kafkaKey', fact: OWN_CERTIFICATE },
    TOPIC_AUTHORIZATION_FAILED: { setting: 'kafkaUsername, or its rights', fact: 'this user is not authorised for the topic' },
    GROUP_AUTHORIZATION_FAILED: {
      setting: 'kafkaUsername, or its rights',
      fact: 'this user is not authorised for the consumer group; allow it to read the group, or name another (chainGroup, archiveGroup)',
    },
    INCONSISTENT_GROUP_PROTOCOL: {
      setting: 'chainGroup, archiveGroup',
      fact: 'the group has members of another kind; name a group that nothing else uses',
    },
    INVALID_GROUP_ID: { setting: 'chainGroup, archiveGroup', fact: 'the brokers refuse the name of the group; name another' },
    INVALID_SESSION_TIMEOUT: {
      setting: 'group.min.session.timeout.ms and group.max.session.timeout.ms of the brokers',
      fact: "the brokers refuse the group's session of 10 s; make their bounds include 10000",
    },
    CLUSTER_AUTHORIZATION_FAILED: { setting: 'kafkaUsername, or its rights', fact: 'this user is not authorised for the cluster' },
    INVALID_TOPIC_EXCEPTION: { setting: 'kafkaTopicPrefix', fact: 'the name of the topic is not valid' },
    UNKNOWN_TOPIC_OR_PARTITION: {
      setting: 'kafkaTopicPrefix, or the topics',
      fact: 'the topic or partition does not exist; lineproof topics create makes it',
    },
    MESSAGE_TOO_LARGE: {
      setting: 'max.message.bytes of the topic',
      fact: 'the broker refuses its size; raise max.message.bytes of the topic',
    },
    RECORD_LIST_TOO_LARGE: {
      setting: 'max.message.bytes of the topic',
      fact: 'the broker refuses its size; raise max.message.bytes of the topic',
    },
    POLICY_VIOLATION: { setting: 'the policy of the Kafka cluster', fact: 'a policy of the cluster forbids it' },
    GROUP_COORDINATOR_NOT_AVAILABLE: { fact: 'the coordinator of the group cannot be found now' },
  },
  Redis: {
    WRONGPASS: { setting: 'redisUrl', fact: 'Redis refuses user name or password' },
    NOAUTH: { setting: 'redisUrl', fact: 'Redis asks for a password; put it into the URL' },
    NOPERM: {
      setting: 'redisUrl, or the rights of its user',
      fact: 'this user of Redis may not run it; grant ~lineproof:* with +eval +evalsha +info +time and the commands of hashes, lists, sorted sets and keys',
    },
    SPEAKS_TLS: { setting: 'redisUrl', fact: 'Redis speaks TLS on this port; begin the URL with rediss, or use another port' },
    SPEAKS_PLAINTEXT: { setting: 'redisUrl', fact: 'Redis speaks no TLS on this port; begin the URL with redis, or use another port' },
    CERTIFICATE_UNTRUSTED: { setting: 'redisCa', fact: UNTRUSTED },
    CERTIFICATE_NAME: { setting: 'redisUrl', fact: OTHER_NAME },
    CERTIFICATE_EXPIRED: { fact: EXPIRED },
    CERTIFICATE_OWN: { setting: 'redisUrl', fact: OWN_CERTIFICATE },
    READONLY: { fact: 'it is a replica; the primary is looked for again' },
    LOADING: { fact: 'Redis is loading its data' },
    MASTERDOWN: { fact: 'it is a replica that has lost its primary' },
    CLUSTERDOWN: { fact: 'the cluster does not serve this part of the keys now' },
    TRYAGAIN: { fact: 'the keys are being moved to another node' },
    OOM: { fact: 'the memory of Redis is full; raise its maxmemory' },
  },
  registry: {
    UNAUTHORISED: { setting: 'registryUsername, registryPassword', fact: 'the schema registry refuses user name or password' },
    NOT_A_REGISTRY: { setting: 'registryUrl', fact: 'set registryUrl to the place of the API as Confluent has it, with its path' },
    SPEAKS_TLS: { setting: 'registryUrl', fact: 'the server speaks TLS on this port; begin the URL with https, or use another port' },
    SPEAKS_PLAINTEXT: {
      setting: 'registryUrl',
      fact: 'the server speaks no TLS on this port; begin the URL with http, or use another port',
    },
    CERTIFICATE_UNTRUSTED: { setting: 'registryCa', fact: UNTRUSTED },
    CERTIFICATE_NAME: { setting: 'registryUrl', fact: OTHER_NAME },
    CERTIFICATE_EXPIRED: { fact: EXPIRED },
    CERTIFICATE_OWN: { setting: 'registryUrl', fact: OWN_CERTIFICATE },
    OVERLOADED: { fact: 'the server is overloaded or failing (429 or 5xx)' },
  },
  S3: {
    NoSuchBucket: { setting: 's3Bucket', fact: 'the bucket does not exist; create it, or correct bucket, region or endpoint' },
    InvalidBucketName: { setting: 's3Bucket', fact: 'the name of the bucket is not valid' },
    InvalidAccessKeyId: { setting: S3_CREDENTIALS, fact: 'the server does not know this access key; correct the credentials' },
    XAdminUserNotFound: { setting: S3_CREDENTIALS, fact: 'the server does not know this access key; correct the credentials' },
    SignatureDoesNotMatch: { setting: S3_CREDENTIALS, fact: 'the secret of this access key is wrong; correct the credentials' },
    InvalidToken: { setting: S3_CREDENTIALS, fact: 'the session token is not valid; get new credentials' },
    CredentialsProviderError: {
      setting: S3_CREDENTIALS,
      fact: 'there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role',
    },
    AccessDenied: {
      setting: 'the rights of these credentials',
      fact: 'these credentials do not permit it; grant s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject, and s3:PutObjectRetention for object lock',
    },
    AuthorizationHeaderMalformed: { setting: 's3Region', fact: 'the bucket is in another region; correct the region' },
    PermanentRedirect: { setting: 's3Region, s3Endpoint', fact: 'the bucket is in another region or at another endpoint; correct them' },
    NotImplemented: {
      setting: 's3Endpoint',
      fact: 'the server does not implement a part of the request; use one that has conditional writes',
    },
    InvalidBucketState: {
      setting: 's3Bucket',
      fact: 'the bucket has no object lock, which can only be turned on when a bucket is made; make another bucket, or configure no lock',
    },
    ObjectLockConfigurationNotFoundError: {
      setting: 's3Bucket',
      fact: 'the bucket has no object lock, which can only be turned on when a bucket is made; make another bucket, or configure no lock',
    },
    SPEAKS_TLS: { setting: 's3Endpoint', fact: 'the server speaks TLS on this port; begin the endpoint with https, or use another port' },
    SPEAKS_PLAINTEXT: {
      setting: 's3Endpoint',
      fact: 'the server speaks no TLS on this port; begin the endpoint with http, or use another port',
    },
    CERTIFICATE_UNTRUSTED: { setting: 's3Ca', fact: UNTRUSTED },
    CERTIFICATE_NAME: { setting: 's3Endpoint', fact: OTHER_NAME },
    CERTIFICATE_EXPIRED: { fact: EXPIRED },
    CERTIFICATE_OWN: { setting: 's3Endpoint', fact: OWN_CERTIFICATE },
    ExpiredToken: { fact: 'the credentials have expired; they are read again where they come from a file, a role or a service' },
    RequestTimeTooSkewed: { fact: 'this clock and that of the server are too far apart; set them' },
  },
} as const satisfies Readonly<Record<Dependency, Readonly<Record<string, Refusal>>>>;

/** Names of the refusals of one server. */
export type RefusalOf<D extends Dependency> = keyof (typeof REFUSALS)[D] & string;

/** Whether `name` is a refusal of this server. */
export function isRefusal<D extends Dependency>(dependency: D, name: string): name is RefusalOf<D> {
  return Object.hasOwn(REFUSALS[dependency], name);
}

/** The error of a refusal: UNAVAILABLE if it passes, REFUSED with the setting if it may need a person. The foreign error is kept only if the caller gives it. */
export function refusalError<D extends Dependency>(act: string, dependency: D, refusal: RefusalOf<D>, cause?: unknown): LineproofError {
  const { setting, fact } = REFUSALS[dependency][refusal] as Refusal;
  if (setting === undefined) return new LineproofError('UNAVAILABLE', `cannot ${act}: ${fact}`, {}, cause);
  return new LineproofError('REFUSED', `cannot ${act}: ${fact}`, { refusal: `${dependency} ${refusal}`, setting }, cause);
}

/** A section with a table for each server as Markdown, for docs/refusals.md. */
export function refusalsTables(): string {
  const sections = Object.entries(REFUSALS).map(([dependency, refusals]) => {
    const rows = Object.entries(refusals as Readonly<Record<string, Refusal>>).map(
      ([name, { setting, fact }]) => `| \`${name}\` | ${fact} | ${setting ?? 'passes'} |\n`,
    );
    return `## ${dependency}\n\n| refusal | meaning | what to correct if it lasts |\n| --- | --- | --- |\n${rows.join('')}`;
  });
  return sections.join('\n');
}

const TLS_CODES: Readonly<Record<string, TlsRefusal>> = {
  SELF_SIGNED_CERT_IN_CHAIN: 'CERTIFICATE_UNTRUSTED',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'CERTIFICATE_UNTRUSTED',
  UNABLE_TO_GET_ISSUER_CERT: 'CERTIFICATE_UNTRUSTED',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'CERTIFICATE_UNTRUSTED',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'CERTIFICATE_UNTRUSTED',
  CERT_SIGNATURE_FAILURE: 'CERTIFICATE_UNTRUSTED',
  ERR_TLS_CERT_ALTNAME_INVALID: 'CERTIFICATE_NAME',
  CERT_HAS_EXPIRED: 'CERTIFICATE_EXPIRED',
  CERT_NOT_YET_VALID: 'CERTIFICATE_EXPIRED',
  ERR_SSL_WRONG_VERSION_NUMBER: 'SPEAKS_PLAINTEXT',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'SPEAKS_PLAINTEXT',
};
/** Alerts of a server about the certificate of its client (RFC 8446, section 6). */
const OWN_ALERT =
  /^ERR_SSL_(?:SSLV3|TLSV1|TLSV13)_ALERT_(?:BAD_CERTIFICATE|CERTIFICATE_REQUIRED|CERTIFICATE_UNKNOWN|UNKNOWN_CA|UNSUPPORTED_CERTIFICATE)$/;
/** Some clients keep only the words of OpenSSL; and servers of HTTP that speak TLS say so, to a client that does not. */
const TLS_WORDS: readonly (readonly [RegExp, TlsRefusal])[] = [
  [/HTTP request (?:was sent )?to (?:an )?HTTPS (?:server|port)/, 'SPEAKS_TLS'],
  [/SSL routines:[^:]*:(?:wrong version number|packet length too long)/, 'SPEAKS_PLAINTEXT'],
  [/^self[- ]signed certificate|^unable to (?:get (?:local )?issuer certificate|verify the first certificate)/, 'CERTIFICATE_UNTRUSTED'],
  [/does not match certificate's altnames/, 'CERTIFICATE_NAME'],
  [/^certificate (?:has expired|is not yet valid)/, 'CERTIFICATE_EXPIRED'],
  [/SSL alert number (?:42|43|46|48|116)$/, 'CERTIFICATE_OWN'],
];

type TlsRefusal =
  | 'CERTIFICATE_UNTRUSTED'
  | 'CERTIFICATE_NAME'
  | 'CERTIFICATE_EXPIRED'
  | 'CERTIFICATE_OWN'
  | 'SPEAKS_PLAINTEXT'
  | 'SPEAKS_TLS';

/** The refusal of a TLS connection, by the code of Node or OpenSSL or by their words; undefined if it is another failure. */
export function tlsRefusal(code: unknown, words = ''): TlsRefusal | undefined {
  if (typeof code === 'string') {
    if (OWN_ALERT.test(code)) return 'CERTIFICATE_OWN';
    if (Object.hasOwn(TLS_CODES, code)) return TLS_CODES[code];
  }
  return TLS_WORDS.find(([pattern]) => pattern.test(words))?.[1];
}

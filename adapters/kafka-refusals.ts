import { isRefusal, type RefusalOf, tlsRefusal } from './refusals.ts';

/** The parts of a failure of kafkajs. */
export interface KafkaFailure {
  readonly name?: string;
  readonly message?: string;
  /** Name of the protocol's error, such as `TOPIC_AUTHORIZATION_FAILED`. */
  readonly type?: string;
  /** Code of the socket's error. */
  readonly code?: unknown;
  readonly host?: string;
  readonly port?: number;
  readonly cause?: unknown;
}

/** kafkajs wraps an error at most this often. */
const MAX_DEPTH = 8;
/** Other names of one refusal. */
const TYPES: Readonly<Record<string, RefusalOf<'Kafka'>>> = {
  UNSUPPORTED_SASL_MECHANISM: 'SASL_MECHANISM',
  ILLEGAL_SASL_STATE: 'NO_SASL_LISTENER',
};

/** The refusal in a failure of kafkajs, or in one that it wraps; undefined if it is another failure, which passes. */
export function kafkaRefusal(error: unknown): RefusalOf<'Kafka'> | undefined {
  let each: unknown = error;
  for (let depth = 0; depth < MAX_DEPTH && typeof each === 'object' && each !== null; depth++) {
    const found = refusalIn(each);
    if (found !== undefined) return found;
    each = (each as KafkaFailure).cause;
  }
  return undefined;
}

function refusalIn({ name = '', message = '', type = '', code }: KafkaFailure): RefusalOf<'Kafka'> | undefined {
  if (Object.hasOwn(TYPES, type)) return TYPES[type];
  if (isRefusal('Kafka', type)) return type;
  if (name === 'KafkaJSSASLAuthenticationError') return saslRefusal(message);
  if (name === 'KafkaJSGroupCoordinatorNotFound') return 'GROUP_COORDINATOR_NOT_AVAILABLE';
  return tlsRefusal(code, message.replace(/^Connection error: /, ''));
}

/**
 * A refused login and one that was cut off or timed out have one class in kafkajs, and its own words come first; then come those of the broker or of
 * the failed request.
 */
function saslRefusal(message: string): RefusalOf<'Kafka'> {
  if (message.endsWith('mechanism is not supported by the server')) return 'SASL_MECHANISM';
  const reason = message.replace(/^SASL .*? authentication failed: /, '');
  return /invalid (?:username|credentials|server signature)|authentication failed/i.test(reason) ? 'SASL_REFUSED' : 'SASL_UNANSWERED';
}

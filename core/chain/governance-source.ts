import type { AcceptContext } from '../acceptance/accept.ts';
import { LineproofError, messageOf } from '../base/errors.ts';
import type { Failed } from '../base/hold.ts';
import { LOG } from '../base/log-lines.ts';
import { type RetryPace, retry } from '../base/retry.ts';
import { Turns } from '../base/turns.ts';
import { compileEventSchema, type EventSchema } from '../formats/event-schema.ts';
import { extendPolicies, type PolicyHistory } from '../policy/policy-history.ts';
import type { Clock } from '../ports/clock.ts';
import { type Log, offsetAfter, TOPICS } from '../ports/log.ts';
import type { Logger } from '../ports/logger.ts';
import type { SchemaRegistry } from '../ports/schema-registry.ts';
import type { AcceptSources } from './chain-reader.ts';

/** The registry subject under which every version of the Event schema is registered. */
export const EVENT_SUBJECT = 'lineproof.v1.Event';
/** The wait between two tries to read a missing policy or schema. */
const PACE: RetryPace = { firstMs: 500, maxMs: 500 };
const READ_BYTES = 4 * 1024 * 1024;

export interface SourcesOptions {
  readonly origin: string;
  /** Verifier key of a root that the first policy must name; if undefined, the first policy that verifies is trusted. */
  readonly rootKey?: string | undefined;
  readonly log: Log;
  readonly registry: SchemaRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The policies on `provenance.control` and the event schemas in the registry, kept in memory and read again when one is missing. */
export class Sources implements AcceptSources {
  readonly #options: SourcesOptions;
  readonly #envelopes: Uint8Array[] = [];
  readonly #schemas = new Map<string, EventSchema>();
  #history: PolicyHistory | undefined;
  #controlOffset = 0;
  #refusal = '';
  #refreshing: Promise<boolean> | undefined;

  constructor(options: SourcesOptions) {
    this.#options = options;
  }

  /** Every policy version that `provenance.control` holds; throws POLICY_INVALID before the first. */
  get policies(): PolicyHistory {
    if (this.#history === undefined) {
      throw new LineproofError(
        'POLICY_INVALID',
        this.#refusal === ''
          ? `cannot start: ${TOPICS.control} holds no policy of origin ${this.#options.origin}; publish one first`
          : `cannot start: ${TOPICS.control} holds no policy of origin ${this.#options.origin} that verifies; restore the log from its backup: ${this.#refusal}`,
      );
    }
    return this.#history;
  }

  get clock(): Clock {
    return this.#options.clock;
  }

  /** The DSSE envelopes of all policy versions, in order. */
  get envelopes(): readonly Uint8Array[] {
    return this.#envelopes;
  }

  context(): AcceptContext {
    return { policies: this.policies, eventSchema: (hex) => this.#schemas.get(hex) };
  }

  eventSchema(hex: string): EventSchema | undefined {
    return this.#schemas.get(hex);
  }

  /** Reads new records on `provenance.control`. A record that is not a valid next version is ignored and logged. True when a version was added. */
  refreshPolicies(): Promise<boolean> {
    // Shards of one process share their policies and schemas: the same record must not be judged twice.
    this.#refreshing ??= this.#readPolicies().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #readPolicies(): Promise<boolean> {
    const { log, logger, clock } = this.#options;
    const turns = new Turns(clock);
    let added = false;
    for (;;) {
      const records = await log.read(TOPICS.control, 0, this.#controlOffset, { maxBytes: READ_BYTES, waitMs: 0 });
      if (records.length === 0) return added;
      for (const record of records) {
        await turns.next();
        this.#controlOffset = offsetAfter(record);
        try {
          if (record.kind === 'unreadable') throw new LineproofError('FORMAT_INVALID', 'its record batch cannot be read');
          const history = extendPolicies(this.#history, record.value);
          this.#checkOrigin(history);
          this.#history = history;
          this.#envelopes.push(record.value);
          added = true;
        } catch (error) {
          const reason = messageOf(error);
          this.#refusal = `offset ${record.offset}: ${reason}`;
          logger.warn(LOG.policyIgnored, { offset: record.offset, reason });
        }
      }
    }
  }

  #checkOrigin({ latest, versions }: PolicyHistory): void {
    const { origin, rootKey } = this.#options;
    if (latest.policy.origin !== origin) throw new LineproofError('POLICY_INVALID', `it is of origin ${latest.policy.origin}`);
    if (rootKey !== undefined && versions[0]?.policy.roots.keys.includes(rootKey) !== true)
      throw new LineproofError('POLICY_INVALID', 'its first version does not name the root key that was pinned');
  }

  /** Fetches the event schemas in force that are not known yet. Throws UNAVAILABLE when the registry does not answer. */
  async refreshSchemas(): Promise<void> {
    const wanted = this.policies.latest.policy.schemas.filter((hex) => !this.#schemas.has(hex));
    if (wanted.length === 0) return;
    await this.#loadSchemas();
  }

  async #loadSchemas(): Promise<void> {
    for (const text of await this.#options.registry.list(EVENT_SUBJECT)) {
      try {
        const schema = compileEventSchema(text);
        this.#schemas.set(schema.hex, schema);
      } catch (error) {
        this.#options.logger.warn(LOG.schemaIgnored, {
          subject: EVENT_SUBJECT,
          reason: messageOf(error),
        });
      }
    }
  }

  async obtain(missing: 'policy' | 'schema', digest: string, signal: AbortSignal, failed?: Failed): Promise<void> {
    const { clock, logger } = this.#options;
    const onFailure = (error: LineproofError, failures: number): void => {
      if (failures === 1) logger.error(missing === 'policy' ? LOG.policyMissing : LOG.schemaMissing, { digest });
      failed?.(error, missing === 'policy' ? 'POLICY_MISSING' : 'SCHEMA_MISSING');
    };
    await retry({ pace: PACE, clock, signal, onFailure }, async () => {
      if (await this.finds(missing, digest)) return;
      if (signal.aborted) throw new LineproofError('CLOSED', `stopped while waiting for ${missing} ${digest}`);
      throw new LineproofError('UNAVAILABLE', `cannot obtain ${missing} ${digest}: it is not there yet`);
    });
  }

  async findPolicy(digest: string, signal: AbortSignal, failed?: Failed): Promise<boolean> {
    const { clock, logger } = this.#options;
    const onFailure = (error: LineproofError): void => {
      logger.warn('policy not obtained', { digest, reason: error.message });
      failed?.(error);
    };
    await retry({ pace: PACE, clock, signal, onFailure }, async () => {
      if (signal.aborted) throw new LineproofError('CLOSED', `stopped while looking for policy ${digest}`);
      await this.refreshPolicies();
      // What was under way already may have read the end before this call.
      if (this.policies.byDigest(digest) === undefined) await this.refreshPolicies();
    });
    return this.policies.byDigest(digest) !== undefined;
  }

  /** Reads policies or schemas once, and says whether the missing one is known now. Logs a failure. */
  async finds(missing: 'policy' | 'schema', digest: string): Promise<boolean> {
    try {
      if (missing === 'policy') await this.refreshPolicies();
      else await this.#loadSchemas();
    } catch (error) {
      this.#options.logger.warn(`${missing} not obtained`, { digest, reason: messageOf(error) });
    }
    return missing === 'policy' ? this.policies.byDigest(digest) !== undefined : this.#schemas.has(digest);
  }
}

import { LineproofError } from '../base/errors.ts';
import { openPolicies } from '../policy/policy-history.ts';
import { type Log, offsetAfter, TOPICS } from '../ports/log.ts';

const READ_BYTES = 4 * 1024 * 1024;

/** The origin of the first policy on the control topic that verifies and names the pinned root. Throws POLICY_INVALID with `wayOut` if there is none. */
export async function originOf(log: Log, rootKey: string | undefined, wayOut: string): Promise<string> {
  for (let offset = 0; ; ) {
    const records = await log.read(TOPICS.control, 0, offset, { maxBytes: READ_BYTES, waitMs: 0 });
    if (records.length === 0)
      throw new LineproofError(
        'POLICY_INVALID',
        `cannot read the policy: ${TOPICS.control} holds no first policy${rootKey === undefined ? '' : ' of the pinned root key'}; ${wayOut}`,
      );
    for (const record of records) {
      offset = offsetAfter(record);
      if (record.kind === 'unreadable') continue;
      try {
        const { policy } = openPolicies([record.value]).latest;
        if (rootKey === undefined || policy.roots.keys.includes(rootKey)) return policy.origin;
      } catch {
        // Not a first version: the reader of the policies reports its fault.
      }
    }
  }
}

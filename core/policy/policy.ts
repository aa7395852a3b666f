import { sha256 } from '#crypto';
import { utf8 } from '../base/bytes.ts';
import { LineproofError } from '../base/errors.ts';
import { canonicalJson, parseCanonicalJson } from '../base/jcs.ts';
import { LIMITS } from '../base/limits.ts';
import type { Policy } from './policy-document.ts';
import { checkMeaning } from './policy-meaning.ts';
import { checkShape } from './policy-shape.ts';

/** The payload: canonical JSON. Throws POLICY_INVALID as {@link parsePolicy} does, so that nobody signs a policy that no reader accepts. */
export function encodePolicy(policy: Policy): Uint8Array {
  const payload = utf8(canonicalJson(policy));
  parsePolicy(payload);
  return payload;
}

/** `H` of the payload; seals name this digest. */
export function policyDigest(payload: Uint8Array): Uint8Array {
  return sha256(payload);
}

/** Reads a payload; throws one POLICY_INVALID that lists every problem. */
export function parsePolicy(payload: Uint8Array): Policy {
  if (payload.length > LIMITS.policyBytes)
    throw new LineproofError('POLICY_INVALID', `cannot use policy: it is larger than ${LIMITS.policyBytes} bytes`);
  let json: unknown;
  try {
    json = parseCanonicalJson(payload);
  } catch (cause) {
    throw new LineproofError('POLICY_INVALID', 'cannot use policy: it is not canonical JSON', {}, cause);
  }
  const problems: string[] = [];
  checkShape(json, problems);
  if (problems.length === 0) checkMeaning(json as Policy, problems);
  if (problems.length > 0)
    throw new LineproofError(
      'POLICY_INVALID',
      `cannot use policy:\n${problems
        .slice(0, 50)
        .map((problem) => `  - ${problem}`)
        .join('\n')}`,
    );
  return json as Policy;
}

/** Whether one of the patterns matches the stream. Only a pattern that begins with `lineproof/` matches the system's own streams, which begin so too. */
export function matchesStream(patterns: readonly string[], stream: string): boolean {
  const own = stream.startsWith('lineproof/');
  return patterns.some((each) => {
    if (own && !each.startsWith('lineproof/')) return false;
    return each.endsWith('*') ? stream.startsWith(each.slice(0, -1)) : stream === each;
  });
}

import { logKeysOf, parseArchiveKey } from '../core/archive/archive-keys.ts';
import type { Audit } from './audit.ts';

/** The objects of time stamps in one shard, by the size of the note that they are named for. */
export function listedStamps({ listed }: Pick<Audit, 'listed'>): Map<number, string[]> {
  const stamps = new Map<number, string[]>();
  for (const key of listed.keys()) {
    const named = parseArchiveKey(key);
    if (named.kind !== 'timestamp') continue;
    const before = stamps.get(named.size);
    if (before === undefined) stamps.set(named.size, [key]);
    else before.push(key);
  }
  return stamps;
}

/** Reports what lies below `timestamps/` and is not looked at: all of it where nobody's time stamps count, else what has no time stamp beside it. */
export function nameUnreadStamps({ shard, listed, findings, stampRoots }: Audit): void {
  const keys = logKeysOf(shard);
  const stamps = listedStamps({ listed });
  for (const object of listed.keys()) {
    const named = parseArchiveKey(object);
    const place = { shard, object };
    if (named.kind === 'timestamp' || named.kind === 'stampCertificates' || named.kind === 'stampedNote') {
      const isAlone =
        named.kind === 'stampCertificates' ? !listed.has(keys.timestamp(named.size, named.authority)) : !stamps.has(named.size);
      if (stampRoots === undefined)
        findings.add('UNKNOWN_OBJECT', 'no time-stamp authority is named or given whose time stamps count, so it was not read', place);
      else if (isAlone) findings.add('UNKNOWN_OBJECT', 'there is no time stamp beside it', place);
    }
  }
}

import { LineproofError } from '../core/base/errors.ts';

/** A host and port, of a Redis, of a Sentinel or of a node of a cluster. */
export interface RedisPlace {
  readonly host: string;
  readonly port: number;
}

/** What a Redis URL names. */
export interface RedisTarget {
  /** One server; the primary that Sentinels name; or a cluster, of which some nodes are named. */
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly tls: boolean;
  /** At least one; of `single` exactly one. */
  readonly places: readonly RedisPlace[];
  readonly username: string;
  readonly password: string;
  /** 0 in a cluster, which has no others. */
  readonly db: number;
  /** Name of the primary, as the Sentinels know it; empty unless `sentinel`. */
  readonly primary: string;
}

const FORM =
  'redis[s]://[user][:password]@host[:port][/db], redis[s]+sentinel://[user][:password]@host[:port],…/NAME[/db] or redis[s]+cluster://[user][:password]@host[:port],…';
const MAX_PLACES = 100;
const DEFAULT_PORTS = { single: 6379, sentinel: 26_379, cluster: 6379 } as const;

/** The parts of a Redis URL. Throws CONFIG_INVALID, without the URL: it may hold a password. */
export function parseRedisUrl(url: string): RedisTarget {
  const [, scheme, suffix = 'single', login = '', places = '', path = ''] =
    /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^@/?#]+)(\/[^?#]*)?$/.exec(url) ?? [];
  if (scheme === undefined) throw invalid(`it is not ${FORM}`);
  const kind = suffix as RedisTarget['kind'];
  const hosts = places.split(',').map((place) => placeOf(place, DEFAULT_PORTS[kind]));
  if (hosts.length > (kind === 'single' ? 1 : MAX_PLACES)) throw invalid(`it names ${hosts.length} hosts; ${FORM}`);
  const [user = '', ...rest] = login.split(':');
  const shared = { kind, tls: scheme === 'rediss', places: hosts, username: decoded(user), password: decoded(rest.join(':')) };
  const [, name, db] = (kind === 'sentinel' ? /^\/([A-Za-z0-9._-]{1,100})(?:\/(\d{1,5})?)?$/ : /^\/?()(\d{0,5})$/).exec(path) ?? [];
  if (name === undefined || (kind === 'cluster' && Number(db) > 0)) throw invalid(`it is not ${FORM}`);
  return { ...shared, primary: name, db: Number(db ?? 0) };
}

function placeOf(text: string, fallback: number): RedisPlace {
  const parsed = URL.canParse(`tcp://${text}`) ? new URL(`tcp://${text}`) : undefined;
  if (parsed === undefined || parsed.hostname === '') throw invalid(`it is not ${FORM}`);
  return { host: parsed.hostname.replace(/^\[(.*)\]$/, '$1'), port: parsed.port === '' ? fallback : Number(parsed.port) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('its user name or password has a % that starts no escape');
  }
}

function invalid(fact: string): LineproofError {
  return new LineproofError('CONFIG_INVALID', `cannot use the Redis URL: ${fact}`);
}

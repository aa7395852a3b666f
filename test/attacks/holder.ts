/**
 * What an attacker holds: a key of this role, write access to the archive, to the topics or to the dedup index,
 * or the keys of a time-stamp authority and of the CAs under its root. The holder of a log key also writes the
 * archive that it signs.
 */
export type Holder = 'root' | 'producer' | 'chainer' | 'log' | 'archive' | 'topics' | 'index' | 'authority';

/**
 * Whether a signature's R is the identity, the only point of small order that the equation of docs/formats.md §4 lets through for a registered key.
 * Only the owner of the key can make such a signature, and platforms differ: Node 24 refuses it, OpenSSL alone takes it. So it is refused everywhere.
 */
export function hasIdentityR(signature: Uint8Array): boolean {
  if (signature[0] !== 1) return false;
  for (let i = 1; i < 32; i++) if (signature[i] !== 0) return false;
  return true;
}

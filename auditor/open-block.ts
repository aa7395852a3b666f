import { LIMITS } from '../core/base/limits.ts';
import { decodeLeaf, type Seal } from '../core/formats/leaf.ts';
import type { Audit } from './audit.ts';
import type { AuditedLink } from './audited-block.ts';
import { errorText } from './governance.ts';
import type { LeafRun } from './tree-audit.ts';

/** The links that wait for the seal of their block. */
export class OpenBlock {
  readonly #audit: Audit;
  #links: AuditedLink[] = [];
  #bytes = 0;

  constructor(audit: Audit) {
    this.#audit = audit;
  }

  get isEmpty(): boolean {
    return this.#links.length === 0;
  }

  /** Reads leaf `i` of a run. Gives a seal; keeps a link. A leaf that cannot be read is a finding. */
  read({ leaves, hashes, first, object }: LeafRun, i: number): Seal | undefined {
    const leaf = first + i;
    const bytes = leaves?.[i] as Uint8Array;
    try {
      const decoded = decodeLeaf(bytes);
      if (decoded.kind === 'seal') return decoded;
      if (this.#takes(bytes, leaf)) this.#links.push({ link: decoded, hash: hashes[i] as Uint8Array, leaf });
    } catch (error) {
      this.#audit.findings.add('LEAF_INVALID', `the leaf cannot be read: ${errorText(error)}`, { shard: this.#audit.shard, object, leaf });
    }
    return undefined;
  }

  /** Whether the block can hold one more link: leaves without seals must not fill the memory. */
  #takes(bytes: Uint8Array, leaf: number): boolean {
    const before = this.#bytes;
    this.#bytes += bytes.length;
    if (this.#bytes <= LIMITS.blockBytes) return true;
    const message = `links of more than ${LIMITS.blockBytes} bytes follow each other without a seal`;
    if (before <= LIMITS.blockBytes) this.#audit.findings.add('BLOCK_TOO_LARGE', message, { shard: this.#audit.shard, leaf });
    return false;
  }

  /** The links of the block, which ends here. */
  close(): readonly AuditedLink[] {
    const links = this.#links;
    this.#links = [];
    this.#bytes = 0;
    return links;
  }
}

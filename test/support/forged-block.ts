import { sha256 } from '#crypto';
import { order, orderTimes } from '../../chainer/order.ts';
import type { LogView } from '../../core/acceptance/log-state.ts';
import { frame } from '../../core/avro/framing.ts';
import { compileSchema } from '../../core/avro/schema.ts';
import { SCHEMA_TEXTS } from '../../core/avro/schema-texts.ts';
import { encodeBlock } from '../../core/formats/block.ts';
import type { EvidenceInput } from '../../core/formats/evidence.ts';
import { decodeLeaf, encodeLink, encodeSeal, type Link, type Seal } from '../../core/formats/leaf.ts';
import { preAuthentication } from '../../core/keys/dsse.ts';
import type { Signer } from '../../core/ports/signer.ts';
import { extendFrontier, frontierRoot } from '../../core/tree/frontier.ts';
import { leafHash } from '../../core/tree/hash.ts';
import { BLOCK_SCHEMA_ID, type BlockOptions, type World } from './producer.ts';

/** Evidence without a check of its rules. */
export const EVIDENCE = compileSchema<{ readonly inputs: readonly EvidenceInput[] }>(JSON.parse(SCHEMA_TEXTS.Evidence));

/** A block before it is sealed, every part open to change. What is left undefined is made to fit the rest. */
export interface Forgery {
  inputs: EvidenceInput[];
  links: Link[];
  events: Uint8Array[];
  /** Events of REJECTED and CONFLICT receipts. */
  refused: Uint8Array[];
  /** Replaces the bytes of the links. */
  linkBytes?: Uint8Array[];
  /** Replaces the bytes of the evidence. */
  evidence?: Uint8Array;
  /** Overrides fields of the seal that fits. */
  seal: { -readonly [Field in keyof Seal]?: Seal[Field] };
  /** Replaces the bytes of the seal. */
  sealBytes?: Uint8Array;
  signer: Signer;
  keyId?: Uint8Array;
  signature?: Uint8Array;
}

/** What an honest chainer would seal after `view`, to be spoilt. */
export function honest(world: World, view: LogView, options: BlockOptions): Forgery {
  const acceptedAt = options.acceptedAt ?? Math.max(view.head.acceptedAt, options.appendedAt ?? 0) + 1_000_000;
  const policy = options.policy ?? world.policy;
  const inputGeneration = options.inputGeneration ?? view.head.inputGeneration;
  const ordered = order(view, world.intakes(view, options), options.known ?? (() => undefined), {
    acceptedAt,
    inputGeneration,
    ...orderTimes(policy),
  });
  return {
    inputs: [...ordered.inputs],
    links: ordered.links.map((bytes) => decodeLeaf(bytes) as Link),
    events: [...ordered.events],
    refused: [...ordered.refused],
    seal: {
      acceptedAt,
      policy: policy.digest,
      inputGeneration,
      inputFrom: options.inputFrom ?? view.head.inputTo,
      final: options.final ?? false,
    },
    signer: options.signer ?? world.chainer,
  };
}

/** Chains the links of each stream again, so that a change of one link breaks no rule about the next. */
export function rechain(view: LogView, links: readonly Link[]): Link[] {
  const ends = new Map<string, { index: number; hash: Uint8Array }>();
  return links.map((link) => {
    const end = ends.get(link.stream) ?? view.stream(link.stream);
    const chained: Link = { ...link, index: end === undefined ? 0 : end.index + 1, previous: end?.hash ?? new Uint8Array(32) };
    ends.set(link.stream, { index: chained.index, hash: leafHash(encodeLink(chained)) });
    return chained;
  });
}

/** Seals and signs a forgery as the block that would follow `view`. */
export async function forge(view: LogView, forgery: Forgery): Promise<Uint8Array> {
  const { head } = view;
  const { signer, events, refused } = forgery;
  const evidence = forgery.evidence ?? EVIDENCE.encode({ inputs: forgery.inputs });
  const links = forgery.linkBytes ?? forgery.links.map(encodeLink);
  const inputFrom = forgery.seal.inputFrom ?? head.inputTo;
  const seal =
    forgery.sealBytes ??
    encodeSeal({
      kind: 'seal',
      origin: `${head.origin}/${head.shard}`,
      firstIndex: head.size,
      links: links.length,
      root: frontierRoot(extendFrontier(head.frontier, links.map(leafHash))),
      previous: head.seal,
      inputGeneration: head.inputGeneration,
      inputFrom,
      inputTo: inputFrom + forgery.inputs.reduce((sum, { span }) => sum + span, 0),
      evidence: sha256(evidence),
      policy: new Uint8Array(32),
      acceptedAt: head.acceptedAt,
      chainer: signer.name,
      final: false,
      ...forgery.seal,
    });
  const signature = forgery.signature ?? (await signer.sign(preAuthentication('block', seal)));
  return frame(BLOCK_SCHEMA_ID, encodeBlock({ seal, keyId: forgery.keyId ?? signer.keyId, signature, links, events, refused, evidence }));
}

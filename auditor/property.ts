/** The properties of an archive that a verdict judges. WITNESSES needs more than this version has; the verdict says so. */
export const PROPERTIES = [
  'ARCHIVE',
  'LOG',
  'STREAMS',
  'SIGNATURES',
  'ORDER',
  'COMPLETE',
  'UNIQUE',
  'POLICY',
  'WITNESSES',
  'TIME',
] as const;
export type Property = (typeof PROPERTIES)[number];

/**
 * The properties that nothing claims of leaves without evidence: leaves name events and evidence by digest, and segments hold them. Of such leaves
 * only the tree is known.
 */
export const PROVEN_BY_EVIDENCE = [
  'LOG',
  'STREAMS',
  'SIGNATURES',
  'ORDER',
  'COMPLETE',
  'UNIQUE',
  'POLICY',
] as const satisfies readonly Property[];

/** The properties that nothing claims of a link whose event is missing. */
export const PROVEN_BY_EVENTS = ['STREAMS', 'SIGNATURES', 'UNIQUE', 'POLICY'] as const satisfies readonly Property[];

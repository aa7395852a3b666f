/** The properties of an archive that a verdict judges. WITNESSES and TIME need more than this version has; the verdict says so. */
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

/** The properties that only segments prove: leaves name events and evidence by digest, and segments hold them. */
export const PROVEN_BY_SEGMENTS = ['STREAMS', 'SIGNATURES', 'ORDER', 'COMPLETE', 'UNIQUE'] as const satisfies readonly Property[];

/** A records section that no reader can read. Thrown only for what the stored bytes alone decide: it becomes part of the evidence. */
export class Unreadable extends Error {}

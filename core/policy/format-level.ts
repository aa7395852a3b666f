/** The format level that this code understands (docs/formats.md §6). A policy that demands a later one needs a newer version of this program. */
export const FORMAT_LEVEL = 1;

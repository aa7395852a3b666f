type Json = Readonly<Record<string, unknown>>;

/** The reasons why `later` is not an evolution of `earlier` (both parsed Avro schemas), a sentence for each. Fields and symbols may only be added, at the end, and fields need a default. */
export function evolutionFaults(earlier: unknown, later: unknown, place = 'schema'): string[] {
  if (Array.isArray(earlier) && Array.isArray(later) && earlier.length === later.length)
    return earlier.flatMap((branch, i) => evolutionFaults(branch, later[i], `${place}[${i}]`));
  if (!isObject(earlier) || !isObject(later)) return earlier === later ? [] : [`${place} has another type`];
  for (const name of ['type', 'name', 'namespace', 'size', 'logicalType', 'default'])
    if (typeof earlier[name] !== 'object' && earlier[name] !== later[name]) return [`${name} of ${place} is another one`];
  if (earlier['type'] === 'record') return recordFaults(earlier, later, place);
  if (earlier['type'] === 'enum') return enumFaults(earlier, later, place);
  if (earlier['type'] === 'array') return evolutionFaults(earlier['items'], later['items'], `${place}.items`);
  return typeof earlier['type'] === 'object' ? evolutionFaults(earlier['type'], later['type'], place) : [];
}

function recordFaults(earlier: Json, later: Json, place: string): string[] {
  const before = earlier['fields'] as readonly Json[];
  const after = later['fields'] as readonly Json[];
  const kept = before.flatMap((field, i) => {
    const name = `${place}.${String(field['name'])}`;
    const next = after[i];
    if (next === undefined || next['name'] !== field['name']) return [`${name} was removed, renamed or moved`];
    const sameDefault = JSON.stringify(field['default']) === JSON.stringify(next['default']);
    return [...(sameDefault ? [] : [`default of ${name} is another one`]), ...evolutionFaults(field['type'], next['type'], name)];
  });
  const added = after.slice(before.length).filter((field) => field['default'] === undefined);
  return [...kept, ...added.map((field) => `${place}.${String(field['name'])} was added without a default`)];
}

function enumFaults(earlier: Json, later: Json, place: string): string[] {
  const before = earlier['symbols'] as readonly unknown[];
  const after = later['symbols'] as readonly unknown[];
  const faults = before.some((symbol, i) => after[i] !== symbol) ? [`symbols of ${place} were removed or moved`] : [];
  return later['default'] === undefined && after.length > before.length ? [...faults, `${place} has no default`] : faults;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

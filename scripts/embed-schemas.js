// Writes core/avro/schema-texts.ts from schemas/*.avsc: core does no I/O and runs in browsers.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const folder = new URL('../schemas/', import.meta.url);

function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.keys(value).toSorted();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`;
}

/** The text of core/avro/schema-texts.ts. */
export function schemaTexts() {
  const lines = readdirSync(folder)
    .filter((name) => name.endsWith('.avsc'))
    .toSorted()
    .map((name) => {
      const key = name.replace('.avsc', '').replace(/(?:^|-)([a-z])/g, (_, letter) => letter.toUpperCase());
      const text = canonical(JSON.parse(readFileSync(new URL(name, folder), 'utf8')));
      return `  ${key}:\n    '${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}',`;
    });
  return `/** RFC 8785 text of each schema in schemas/; written by scripts/embed-schemas.js. */\nexport const SCHEMA_TEXTS = {\n${lines.join('\n')}\n} as const;\n`;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(new URL('../core/avro/schema-texts.ts', import.meta.url), schemaTexts());
}

import { closeOutput, inputAt, openInput, openOutput, writeLong, writeSlice } from '../avro/cursor.ts';
import { compileFields } from '../avro/schema.ts';
import { SCHEMA_TEXTS } from '../avro/schema-texts.ts';
import { type AvroField, recordNode } from '../avro/value-node.ts';
import { LineproofError } from '../base/errors.ts';
import { checkName, mustCount, mustHold } from '../base/format-checks.ts';
import { canonicalJson } from '../base/jcs.ts';

/** The columns of an archived event, all derived from the log (docs/formats.md §5). Times are microseconds since 1970. */
export interface ArchivedColumns {
  readonly logIndex: number;
  readonly streamIndex: number;
  readonly acceptedAt: number;
  readonly producer: string;
  readonly epoch: Uint8Array;
  readonly seq: number;
  readonly inputOffset: number;
  readonly position: number;
  readonly marks: number;
  readonly leafHash: Uint8Array;
}

type Schema = { readonly fields: readonly { readonly name: string; readonly type: unknown }[] };
const RELEASED: Schema & Record<string, unknown> = JSON.parse(SCHEMA_TEXTS.ArchivedEvent);
const columnFields: readonly AvroField[] = compileFields({ ...RELEASED, fields: RELEASED.fields.slice(0, -1) });
const columnsNode = recordNode(columnFields, 'ArchivedEvent');

/** RFC 8785 text of the schema of an events file whose events have the schema `eventSchemaText`. */
export function archivedEventSchema(eventSchemaText: string): string {
  const event: unknown = JSON.parse(eventSchemaText);
  return canonicalJson({
    ...RELEASED,
    fields: RELEASED.fields.map((field) => (field.name === 'event' ? { ...field, type: ['null', event] } : field)),
  });
}

/** A row: the columns, the union's byte, the event's bytes unchanged; `event` is null if the content was removed. */
export function encodeArchivedEvent(row: ArchivedColumns, event: Uint8Array | null): Uint8Array {
  checkColumns(row);
  openOutput();
  columnsNode.write(row);
  writeLong(event === null ? 0 : 1);
  if (event !== null) writeSlice(event);
  return closeOutput();
}

/** A row's columns and its event's bytes (a view). The caller checks the event by its schema. Throws AVRO_INVALID or FORMAT_INVALID. */
export function decodeArchivedEvent(bytes: Uint8Array): { readonly columns: ArchivedColumns; readonly event: Uint8Array | null } {
  openInput(bytes);
  const row = columnsNode.read() as ArchivedColumns;
  const end = inputAt();
  checkColumns(row);
  const branch = bytes[end];
  if (branch === 0 && bytes.length === end + 1) return { columns: row, event: null };
  if (branch !== 2) throw new LineproofError('AVRO_INVALID', 'cannot decode archived event: it ends neither in null nor in an event');
  return { columns: row, event: bytes.subarray(end + 1) };
}

function checkColumns(row: ArchivedColumns): void {
  checkName(row.producer, 'producer');
  mustCount('archived event', row.logIndex, row.streamIndex, row.acceptedAt, row.seq, row.inputOffset, row.position);
  mustHold(row.marks === 0 || row.marks === 1, 'cannot take archived event: it has unknown marks');
}

import { expect, test } from '@jest/globals';
import { sha256 } from '#crypto';
import { Findings } from '../../../auditor/findings.ts';
import { UniqueAudit } from '../../../auditor/unique-audit.ts';
import { utf8 } from '../../../core/base/bytes.ts';
import type { Receipt } from '../../../core/formats/evidence.ts';

const EVENTS = 5000;

function idOf(i: number): Uint8Array {
  return sha256(utf8(`id ${i}`)).slice(0, 16);
}

function digestOf(i: number): Uint8Array {
  return sha256(utf8(`event ${i}`));
}

function receipt(i: number, part: Partial<Receipt> = {}): Receipt {
  return { position: 0, digest: digestOf(i), id: idOf(i), outcome: 'DUPLICATE', reason: 0, original: 2 * i, ...part };
}

/** An audit that followed {@link EVENTS} events on three streams; every other leaf is none of them. */
function followed(): { audit: UniqueAudit; findings: Findings } {
  const findings = new Findings();
  const audit = new UniqueAudit(0, findings);
  for (let i = 0; i < EVENTS; i++) audit.link({ stream: `s/${i % 3}`, id: idOf(i), digest: digestOf(i), leaf: 2 * i, appendedAt: i }, 0);
  return { audit, findings };
}

test('every event of thousands is remembered with its leaf, stream, digest and time', () => {
  const { audit, findings } = followed();
  for (let i = 0; i < EVENTS; i++) audit.receipt(receipt(i), 0, 2 * EVENTS);
  expect([findings.list, audit.duplicates, audit.events]).toEqual([[], EVENTS, EVENTS]);
  for (let i = 0; i < EVENTS; i++) {
    const again = { stream: `s/${i % 3}`, id: idOf(i), digest: digestOf(i), leaf: 2 * EVENTS + i, appendedAt: EVENTS };
    audit.link(again, i + 1);
  }
  expect([findings.worst('UNIQUE'), audit.repeats]).toEqual([undefined, EVENTS]);
});

test('a receipt finds no original between the leaves, nor behind the last', () => {
  const { audit, findings } = followed();
  for (const original of [1, EVENTS + 1, 2 * EVENTS, 2 * EVENTS + 2000]) audit.receipt(receipt(0, { original }), 0, 10 * EVENTS);
  expect(findings.list.map(({ code }) => code)).toEqual(Array(4).fill('ORIGINAL_MISSING'));
});

test('the first leaf is an original like any other, and none of an empty log', () => {
  const { audit, findings } = followed();
  audit.receipt(receipt(0), 0, 1);
  expect(findings.list).toEqual([]);
  const empty = new UniqueAudit(0, findings);
  empty.receipt(receipt(0), 0, 1);
  expect(findings.list.map(({ code }) => code)).toEqual(['ORIGINAL_MISSING']);
});

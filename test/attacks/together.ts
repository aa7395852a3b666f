import { utf8Text } from '../../core/base/bytes.ts';
import { noteOf } from '../support/archive.ts';
import { START_MICROS } from '../support/producer.ts';
import { SECOND } from '../support/rich-archive.ts';
import { SEVENS } from '../support/violation.ts';
import type { Attack, Reader } from './attack.ts';
import { namesOf } from './forging.ts';
import { withoutTail } from './objects.ts';
import { NEXT_LOG, Speaker, type Stage } from './stage.ts';

const everything = ['root', 'producer', 'chainer', 'log', 'archive'] as const;

/** Another story in the place of what the producer said. */
const rewritten = async (stage: Stage): Promise<void> => stage.block([await stage.wide.say(0, 'another story')]);

/** The reader kept a note that this history does not begin with. */
const keptOther = async ({ archive }: Stage): Promise<Reader> => ({ since: [await noteOf(NEXT_LOG, archive.size, SEVENS)] });
const keptThis = async ({ archive }: Stage): Promise<Reader> => ({ since: [utf8Text(await archive.note())] });

const OTHER = { seen: 'LOG ROOT_WRONG', failed: 'LOG' };

/** Holders of several keys. */
export const TOGETHER: readonly Attack[] = [
  {
    name: 'producer-and-chainer-date-back',
    keys: ['producer', 'chainer'],
    play: async (stage) => {
      const { acceptedAt } = stage.archive.state.head;
      const message = await stage.wide.lanes[0].next(stage.wide.events(0, 'x'), { createdAt: acceptedAt - SECOND });
      await stage.block([message], ({ seal }) => (seal.acceptedAt = acceptedAt), { acceptedAt, appendedAt: acceptedAt });
    },
    seen: null,
  },
  {
    name: 'producer-and-chainer-date-back-before-the-last-block',
    keys: ['producer', 'chainer'],
    play: async (stage) => stage.block([await stage.wide.say(0, 'x')], ({ seal }) => (seal.acceptedAt = START_MICROS)),
    stopped: ['ACCEPTED_AT'],
    seen: null,
  },
  {
    name: 'chainer-and-log-leave-an-epoch-out',
    keys: ['chainer', 'log'],
    play: async (stage) => {
      await new Speaker(stage.world, 'wide', stage.world.producer, 1, 'lost').say(0, 'x');
    },
    seen: null,
  },
  {
    name: 'chainer-and-log-leave-a-batch-out',
    keys: ['chainer', 'log'],
    play: async (stage) => {
      await stage.wide.say(0, 'x');
    },
    seen: 'COMPLETE GAP',
    failed: 'COMPLETE',
  },
  { name: 'one-history-of-two', keys: ['chainer', 'log'], play: rewritten, seen: null },
  { name: 'one-history-of-two-and-a-kept-note', keys: ['chainer', 'log'], play: rewritten, reader: keptOther, ...OTHER },
  { name: 'new-history-of-a-producer', keys: ['producer', 'chainer', 'log'], play: rewritten, seen: null },
  { name: 'new-history-of-a-producer-and-a-kept-note', keys: ['producer', 'chainer', 'log'], play: rewritten, reader: keptOther, ...OTHER },
  { name: 'new-history-by-the-host-of-all-keys', keys: everything, play: rewritten, seen: null },
  {
    name: 'older-archive-and-a-kept-note',
    keys: ['archive'],
    tail: true,
    alter: withoutTail,
    reader: keptThis,
    seen: 'LOG KEPT_NOTE_AHEAD',
    failed: 'LOG',
    ok: 'STREAMS SIGNATURES ORDER COMPLETE UNIQUE POLICY',
  },
  { name: 'kept-note-of-this-history', keys: [], reader: keptThis, seen: null },
  {
    name: 'kept-note-of-somebody-else',
    keys: [],
    reader: () => ({ since: ['example.org/other/0\n1\nAAAA\n\n'] }),
    seen: 'LOG KEPT_NOTE_FOREIGN',
    failed: 'LOG',
  },
  {
    name: 'log-and-archive-show-a-shorter-history',
    keys: ['log', 'archive'],
    tail: true,
    alter: async (map, stage) => {
      await withoutTail(map, stage);
      for (const name of namesOf(map, /^logs\/0\/tile\//)) if (/\.p\/(?:19|20)$/.test(name)) map.delete(name);
    },
    seen: null,
    ok: 'LOG STREAMS SIGNATURES ORDER COMPLETE UNIQUE POLICY',
  },
];

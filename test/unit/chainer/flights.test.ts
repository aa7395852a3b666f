import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { acceptedIdentities } from '../../../chainer/block-identities.ts';
import { type BuiltFlight, type Flight, Flights } from '../../../chainer/flights.ts';
import type { LogView } from '../../../core/acceptance/log-state.ts';
import { utf8, utf8Text } from '../../../core/base/bytes.ts';
import { LineproofError } from '../../../core/base/errors.ts';
import { Hold } from '../../../core/base/hold.ts';
import { parseTraceparent, TRACEPARENT, type Traceparent } from '../../../core/base/traceparent.ts';
import { type Appended, type Log, TOPICS } from '../../../core/ports/log.ts';
import { makeWorld, START_MICROS, type World } from '../../support/producer.ts';
import { required } from '../../support/rich-archive.ts';
import { SimLog } from '../../support/sim-log.ts';

const TRACE = parseTraceparent(utf8('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')) as Traceparent;
const LOST = new LineproofError('UNAVAILABLE', 'cannot append: no answer');

let world: World;
/** Three blocks, each on top of the one before. */
let built: BuiltFlight[];
let log: SimLog;
/** What becomes of the next appends: done and answered, or done and not answered. */
let answers: ('answered' | 'lost')[];
let flights: Flights;
let hold: Hold;

beforeAll(async () => {
  world = await makeWorld();
  const lane = world.lane('flying');
  const state = world.state();
  built = [];
  for (const word of ['1', '2', '3']) {
    const { value, accepted } = await world.block(state, { messages: [await lane.next(world.events('a', word))] });
    built.push({ value, accepted, traces: word === '1' ? [TRACE] : [], identities: acceptedIdentities(accepted, -1) });
    state.apply(accepted.delta);
  }
});

beforeEach(() => {
  log = new SimLog(() => START_MICROS);
  answers = [];
  const append = async (...args: Parameters<Log['append']>): Promise<Appended> => {
    const taken = await log.append(...args);
    if (answers.shift() === 'lost') throw LOST;
    return taken;
  };
  const through: Pick<Log, 'append'> = { append };
  hold = new Hold({ monotonicMs: () => 0 });
  flights = new Flights(through, 0, hold);
});

function launchAll(): void {
  for (const each of built) flights.launch(each, flights.top(world.state()));
}

/** The values that the chain topic took, by their number in `built`. */
function appended(): number[] {
  return log.history(TOPICS.chain, 0).map(({ value }) => built.findIndex((each) => each.value === value));
}

function sealOf(i: number): Uint8Array {
  return required(built[i]).accepted.delta.head.seal;
}

/** What became of the appends of the flights, in order. */
async function outcomes(): Promise<unknown[]> {
  const found: unknown[] = [];
  while (flights.count > 0) {
    const { append, accepted } = flights.oldest as Flight;
    const outcome = await append;
    found.push('offset' in outcome ? outcome.offset : outcome.error);
    flights.land(accepted.delta.head.seal);
  }
  return found;
}

describe('blocks in flight', () => {
  test('are appended in order, and each is the view for the next', async () => {
    const views: LogView[] = [];
    for (const each of built) {
      views.push(flights.top(world.state()));
      flights.launch(each, flights.top(world.state()));
    }
    views.push(flights.top(world.state()));
    expect(views.map(({ head }) => head.size)).toEqual([0, ...built.map(({ accepted }) => accepted.delta.head.size)]);
    expect(views.map((view) => view.stream('a')?.index)).toEqual([undefined, 0, 1, 2]);
    expect(await outcomes()).toEqual([0, 1, 2]);
    expect(appended()).toEqual([0, 1, 2]);
  });

  test('carry the first trace of their batches, and no header where there is none', async () => {
    launchAll();
    await outcomes();
    const headers = log.history(TOPICS.chain, 0).map((record) => record.headers[TRACEPARENT]);
    expect(headers.map((bytes) => (bytes === undefined ? undefined : utf8Text(bytes)))).toEqual([
      '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      undefined,
      undefined,
    ]);
  });

  test('never overtake one whose append failed: those behind fail with it and are not appended', async () => {
    answers = ['answered', 'lost'];
    launchAll();
    expect(await outcomes()).toEqual([0, LOST, LOST]);
    expect(appended()).toEqual([0, 1]);
  });

  test('are appended again with the same bytes, all of them and in order', async () => {
    answers = ['lost'];
    launchAll();
    await required(flights.oldest).append;
    flights.appendAgain();
    expect(await outcomes()).toEqual([1, 2, 3]);
    expect(appended()).toEqual([0, 0, 1, 2]);
  });

  test('do not overtake the oldest when they are appended again and it fails again', async () => {
    answers = ['lost', 'lost'];
    launchAll();
    await required(flights.oldest).append;
    flights.appendAgain();
    expect(await outcomes()).toEqual([LOST, LOST, LOST]);
    expect(appended()).toEqual([0, 0]);
  });

  test('land one after another, by their seals', () => {
    launchAll();
    expect(flights.land(sealOf(1))).toBeUndefined();
    expect(flights.count).toBe(3);
    expect(flights.land(sealOf(0))?.value).toBe(built[0]?.value);
    expect(flights.land(sealOf(0))).toBeUndefined();
    expect(flights.oldest?.value).toBe(built[1]?.value);
    expect(flights.identities).toEqual(built.slice(1).map(({ identities }) => identities));
  });

  test('are gone once they are forgotten, and the judged log is the top again', () => {
    launchAll();
    flights.forget();
    const state = world.state();
    expect([flights.count, flights.oldest, flights.top(state), flights.identities]).toEqual([0, undefined, state, []]);
  });

  test('count the tries of the oldest one alone, and hold the shard until it lands or is forgotten', () => {
    const lost = { error: LOST };
    expect([flights.countTry(lost), hold.state().held]).toEqual([0, undefined]);
    launchAll();
    expect([flights.countTry(lost), flights.countTry(lost)]).toEqual([1, 2]);
    expect(hold.state().held).toMatchObject({ reason: 'APPEND_UNCONFIRMED', text: expect.stringContaining(LOST.message) });
    flights.land(sealOf(0));
    expect(hold.state().held).toBeUndefined();
    expect(flights.countTry({ offset: 7 })).toBe(1);
    expect(hold.state().held?.text).toMatch(/its append was answered, but the block is not there$/);
    flights.forget();
    expect(hold.state().held).toBeUndefined();
  });
});

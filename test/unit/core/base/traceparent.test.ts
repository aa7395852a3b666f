import { describe, expect, test } from '@jest/globals';
import { fromHex, utf8 } from '../../../../core/base/bytes.ts';
import { formatTraceparent, parseTraceparent } from '../../../../core/base/traceparent.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
// The example of the W3C recommendation, section 3.2.2.5.
const PUBLISHED = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

describe('a traceparent header', () => {
  test('is written as the recommendation has it, and read back', () => {
    const [id, span] = [fromHex('4bf92f3577b34da6a3ce929d0e0e4736'), fromHex('00f067aa0ba902b7')];
    const written = formatTraceparent(id, span, true);
    expect(written).toEqual({ traceId: '4bf92f3577b34da6a3ce929d0e0e4736', sampled: true, header: utf8(PUBLISHED) });
    expect(parseTraceparent(utf8(PUBLISHED))).toEqual(written);
    expect(formatTraceparent(id, span, false)).toMatchObject({ sampled: false, header: utf8(PUBLISHED.replace(/01$/, '00')) });
  });

  test('keeps flags that are not known, and looks at the one that is', () => {
    const header = utf8(`00-${traceId}-${spanId}-fe`);
    expect(parseTraceparent(header)).toEqual({ traceId, sampled: false, header });
  });

  test('is not made of ids that no span can have', () => {
    expect(formatTraceparent(new Uint8Array(16), fromHex(spanId), true)).toBeUndefined();
    expect(formatTraceparent(fromHex(traceId), new Uint8Array(8), true)).toBeUndefined();
  });

  test.each<[string, string]>([
    ['nothing', ''],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${spanId}-01`],
    ['a span id of zeros', `00-${traceId}-${'0'.repeat(16)}-01`],
    ['upper case', `00-${traceId.toUpperCase()}-${spanId}-01`],
    ['another version', `01-${traceId}-${spanId}-01`],
    ['the version that is forbidden', `ff-${traceId}-${spanId}-01`],
    ['something after it', `00-${traceId}-${spanId}-01-x`],
    ['a line break at its end', `00-${traceId}-${spanId}-1\n`],
    ['no hexadecimal digit', `00-${traceId.replace('0', 'g')}-${spanId}-01`],
    ['a control character', `00-${traceId.replace('0', '\n')}-${spanId}-01`],
    ['ids of exchanged lengths', `00-${spanId}-${traceId}-01`],
    ['a megabyte', '0'.repeat(1_000_000)],
  ])('with %s is not a header', (_, text) => {
    expect(parseTraceparent(utf8(text))).toBeUndefined();
  });

  test('that is not there is none', () => {
    expect(parseTraceparent(undefined)).toBeUndefined();
  });
});

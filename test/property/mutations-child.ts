// Run by mutations.test.ts with little memory: prints one line of JSON per decoder.
import { equal, toHex } from '../../core/base/bytes.ts';
import { ERROR_TRAITS } from '../../core/base/errors.ts';
import { type HostileFormat, hostileFormats } from './hostile-formats.ts';
import { mutate, seeded } from './mutate.ts';

const RUNS = Number(process.argv[2]);
const LYING_ARRAY = Uint8Array.of(0xfe, 0xff, 0xff, 0xff, 0x0f);

/** The outcome of one mutant. Only a coded error with the fault of the input counts as a refusal; everything else is rethrown. */
async function fate({ again }: HostileFormat, mutant: Uint8Array): Promise<'taken' | 'refused'> {
  try {
    if (!equal(await again(mutant), mutant)) throw new Error('it was taken and written in another way');
    return 'taken';
  } catch (error) {
    const { code } = error as { readonly code?: keyof typeof ERROR_TRAITS };
    if (code === undefined || !(code in ERROR_TRAITS) || ['bug', 'environment'].includes(ERROR_TRAITS[code].fault)) throw error;
    return 'refused';
  }
}

async function attack(format: HostileFormat): Promise<void> {
  const random = seeded(format.name.length * 7919 + 1);
  const count = { taken: 0, refused: 0 };
  let slowestMs = 0;
  for (let run = 0; run < RUNS; run++) {
    const sample = format.samples[run % format.samples.length] as Uint8Array;
    // The samples themselves, then a five-byte value, then mutants.
    const mutant = run < format.samples.length ? sample : run === format.samples.length ? LYING_ARRAY : mutate(sample, random);
    const start = performance.now();
    try {
      count[await fate(format, mutant)] += 1;
    } catch (error) {
      throw new Error(`${format.name}, run ${run}, ${toHex(mutant.subarray(0, 2000))}`, { cause: error });
    }
    slowestMs = Math.max(slowestMs, performance.now() - start);
  }
  process.stdout.write(`${JSON.stringify({ name: format.name, ...count, slowestMs, peakBytes: process.resourceUsage().maxRSS * 1024 })}\n`);
}

const formats = await hostileFormats();
process.stdout.write(`${JSON.stringify({ peakBytes: process.resourceUsage().maxRSS * 1024 })}\n`);
for (const format of formats) await attack(format);

import { Findings } from '../../auditor/findings.ts';

/** What may be said of a finding: compiled by `npm run check`, never run. */
export function codes(): void {
  const findings = new Findings();
  findings.add('SEAL_ROOT', 'a code with one property and severity', {});
  findings.add('MISSING', 'a code of two properties', {}, { property: 'POLICY' });
  // @ts-expect-error a code that is not in the table
  findings.add('SEAL_ROOTS', '', {});
  // @ts-expect-error the property is left open by the table
  findings.add('MISSING', '', {});
  // @ts-expect-error a property that the table does not give the code
  findings.add('MISSING', '', {}, { property: 'LOG' });
  // @ts-expect-error the table says which severity it is
  findings.add('SEAL_ROOT', '', {}, { severity: 'NOTE' });
}

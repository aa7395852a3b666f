/** The import tables of docs/architecture.md, as rules. */

/** The floors of core, lowest first: a file imports from its own folder and from lower floors. */
const FLOORS = ['base', 'crypto', 'avro', 'tree', 'ports', 'keys', 'formats', 'policy', 'acceptance', 'chain', 'archive'];
const floors = FLOORS.slice(0, -1).map((floor, i) => ({
  name: `floor-${floor}`,
  severity: 'error',
  from: { path: `^core/${floor}/` },
  to: { path: `^core/(${FLOORS.slice(i + 1).join('|')})/` },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...floors,
    {
      name: 'core-knows-nobody',
      severity: 'error',
      from: { path: '^core/' },
      to: { path: '^(?!core/)', dependencyTypesNot: ['npm', 'core'] },
    },
    {
      name: 'core-no-io',
      comment: 'core is pure: its only built-in modules are those of #crypto',
      severity: 'error',
      from: { path: '^core/', pathNot: '^core/crypto/node.ts$' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'core-npm-is-noble',
      severity: 'error',
      from: { path: '^core/' },
      to: { dependencyTypes: ['npm', 'npm-dev'], pathNot: 'node_modules/@noble/' },
    },
    {
      name: 'platform-imports-core',
      comment: 'the services of the operating system need no npm package',
      severity: 'error',
      from: { path: '^platform/' },
      to: { path: '^(?!core/|platform/)', dependencyTypesNot: ['core'] },
    },
    {
      name: 'adapters-import-core',
      severity: 'error',
      from: { path: '^adapters/' },
      to: { path: '^(?!core/|platform/|adapters/)', dependencyTypesNot: ['npm', 'core'] },
    },
    {
      name: 'collector-imports-core',
      severity: 'error',
      from: { path: '^collector/' },
      to: { path: '^(?!core/|platform/|collector/)', dependencyTypesNot: ['npm', 'core'] },
    },
    {
      name: 'parts-import-core',
      severity: 'error',
      from: { path: '^(chainer|archiver|auditor)/' },
      to: { path: '^(?!core/)', pathNot: '^$1/', dependencyTypesNot: ['npm', 'core'] },
    },
    {
      name: 'auditor-builds-nothing',
      comment: 'the auditor cannot reach the code that only makers of tiles and proofs need',
      severity: 'error',
      from: { path: '^auditor/' },
      to: { path: '^core/tree/build/', reachable: true },
    },
    {
      name: 'prover-imports-core',
      severity: 'error',
      from: { path: '^prover/' },
      to: { path: '^(?!core/|auditor/|prover/)', dependencyTypesNot: ['npm', 'core'] },
    },
    {
      name: 'resubmit-imports-core',
      severity: 'error',
      from: { path: '^resubmit/' },
      to: { path: '^(?!core/|auditor/|resubmit/)', dependencyTypesNot: ['npm', 'core'] },
    },
    {
      name: 'witness-imports-core',
      severity: 'error',
      from: { path: '^witness/' },
      to: { path: '^(?!core/|witness/)', dependencyTypesNot: ['npm', 'core'] },
    },
    {
      name: 'sdk-stays-light',
      severity: 'error',
      from: { path: '^sdk/' },
      to: { path: '^(?!core/|collector/|adapters/|prover/|sdk/|schemas/)', dependencyTypesNot: ['npm', 'core'] },
    },
    {
      name: 'sdk-without-servers',
      comment:
        'a service that records events never loads object storage, LMDB or Redis; HTTP only to the schema registry and to an archive behind a web server',
      severity: 'error',
      from: { path: '^sdk/' },
      to: { path: '(^adapters/(s3|lmdb-|redis-|folder-))|node_modules/(lmdb|@aws-sdk|ioredis)', reachable: true },
    },
    {
      name: 'settings-import-core',
      severity: 'error',
      from: { path: '^settings/' },
      to: { path: '^(?!core/|settings/)', dependencyTypesNot: ['npm', 'core'] },
    },
    {
      name: 'compositions-know-no-command',
      comment: 'embedded and cluster put the parts together, for any command and for users of the package',
      severity: 'error',
      from: { path: '^(embedded|cluster)/' },
      to: {
        path: '^(?!core/|platform/|adapters/|collector/|chainer/|archiver/|settings/|sdk/)',
        pathNot: '^$1/',
        dependencyTypesNot: ['npm', 'core'],
      },
    },
    {
      name: 'schemas-import-nothing',
      severity: 'error',
      from: { path: '^schemas/' },
      to: { path: '^(?!schemas/)', dependencyTypesNot: ['core'] },
    },
    {
      name: 'infra-stands-alone',
      comment: 'the local stack starts servers for any client and knows none of the parts',
      severity: 'error',
      from: { path: '^infra/' },
      to: { path: '^(?!infra/)', dependencyTypesNot: ['npm', 'core'] },
    },
    { name: 'product-without-infra', severity: 'error', from: { path: '^(?!infra/|test/)' }, to: { path: '^infra/' } },
    { name: 'product-without-tests', severity: 'error', from: { path: '^(?!test/)' }, to: { path: '^test/' } },
    { name: 'nothing-imports-bench', severity: 'error', from: { path: '^(?!bench/)' }, to: { path: '^bench/' } },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'not-to-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true, pathNot: '/dist/' } },
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['lineproof-source', 'import', 'types', 'node', 'default'],
    },
  },
};

// Compares what was recorded of a history with what git says of it.
import { changesOf, commitsOf, cutCommitsOf, digestsOf, eachObject, objectsOf, sha256 } from './git-says.js';
import { bytesOf, changesIn, idOf } from './recorded.js';

/** Attributes that say something of a commit; any other would say what git does not. */
const KNOWN = new Set(
  'author authorTime changes changesCount changesSha256 changesNotListed commit commitSha256 comparedWith committerTime encoding escaped message messageBytes messageSha256 messageStart objectsMissing objectsNotBlobs parentsNotListed timeUnknown tree unreadable'
    .split(' ')
    .map((name) => `git.${name}`),
);
const MAX_PARENTS = 200;
const MAX_CHANGES = 100_000;

/** Differences that are kept; all are counted. */
const KEPT = 20;

class Differences {
  count = 0;
  kept = [];

  same(what, recorded, said) {
    if (recorded === said) return;
    this.count++;
    if (this.kept.length < KEPT) this.kept.push(`${what}: recorded ${shown(recorded)}, git says ${shown(said)}`);
  }
}

function shown(value) {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 300);
}

/** Compares all commits; gives the differences, and what was compared. `recorded` is that of `commitsIn`. */
export async function compare(folder, stream, recorded) {
  const differences = new Differences();
  const commits = await commitsOf(folder);
  const [cut, present] = [await cutCommitsOf(folder), await objectsOf(folder)];
  const changes = await changesOf(folder, { renames: false });
  const renames = await changesOf(folder, { renames: true });
  const files = await fileDigests(folder, changes, cut, present);
  const counts = {
    commits: commits.length,
    events: 0,
    changes: 0,
    files: files.size,
    renames: 0,
    submodules: 0,
    modes: 0,
    cut: 0,
    missing: 0,
  };
  differences.same('commits', recorded.size, new Set(commits).size);
  const said = { stream, cut, present, files };
  await eachObject(folder, commits, (hash, _, content) => {
    const events = recorded.get(hash);
    if (events === undefined) {
      differences.same(`commit ${hash}`, 'nothing', 'a commit');
      return;
    }
    counts.events += events.length;
    compareCommit(
      { hash, content, events, said: { ...said, changes: cut.has(hash) ? undefined : (changes.get(hash) ?? []) } },
      differences,
      counts,
    );
    for (const rename of cut.has(hash) ? [] : (renames.get(hash) ?? []))
      compareRename(hash, changesIn(events), rename, differences, counts);
  });
  compareOrder(recorded, cut, differences);
  return { counts, differences };
}

/** SHA-256 and size of each changed file that the repository holds. */
function fileDigests(folder, changes, cut, present) {
  const ids = new Set();
  for (const [hash, list] of changes)
    if (!cut.has(hash))
      for (const { before, after } of list)
        for (const side of [before, after]) if (side !== undefined && side.mode !== '160000' && present.has(side.id)) ids.add(side.id);
  return digestsOf(folder, [...ids]);
}

function compareCommit({ hash, content, events, said }, differences, counts) {
  const [first] = events;
  const same = (what, recorded, is) => differences.same(`commit ${hash}: ${what}`, recorded, is);
  const commit = parseCommit(content);
  const { attributes } = first;
  compareHeader(same, first, commit, said);
  same('SHA-256', attributes['git.commitSha256'], sha256(content));
  same('bytes of message', attributes['git.messageBytes'], String(commit.message.length));
  same('SHA-256 of message', attributes['git.messageSha256'], sha256(commit.message));
  for (const name of Object.keys(attributes))
    if (!KNOWN.has(name) && name !== 'part') same(`attribute ${name}`, attributes[name], undefined);
  events.forEach((event, i) => {
    same('part', event.attributes['part'], events.length === 1 ? undefined : `${i + 1}/${events.length}`);
    same('type', event.type, said.changes === undefined ? 'OTHER' : 'TRANSFORM');
  });
  if (said.changes === undefined) {
    counts.cut++;
    same('files', first.inputs.length + first.outputs.length, 0);
    same('changes', attributes['git.changesCount'], undefined);
    return;
  }
  compareChanges(same, events, said, counts);
}

function compareHeader(same, event, { tree, parents, author, committer }, { stream, cut, changes }) {
  const { attributes } = event;
  const hash = attributes['git.commit'];
  same('tree', attributes['git.tree'], tree);
  const against = cut.has(hash) ? 'nothing: a shallow clone was cut here' : (parents[0] ?? 'the empty tree');
  same('compared with', attributes['git.comparedWith'], against);
  same('stream', event.stream, stream);
  same('version', event.activity.version, hash);
  const listed = parents.slice(0, MAX_PARENTS);
  same('parents', event.parents.map(({ id }) => id).join(), listed.map((parent) => idOf(stream, parent)).join());
  if (changes !== undefined && attributes['git.objectsMissing'] === undefined) same('id', event.id, idOf(stream, hash));
  else same('id of a commit that is not whole', event.id === idOf(stream, hash), false);
  comparePerson(same, 'author', { person: attributes['git.author'], time: attributes['git.authorTime'] }, author);
  comparePerson(same, 'committer', { person: event.actor.id, time: attributes['git.committerTime'] }, committer);
  const seconds = /^\d{1,20}/.exec(committer?.time ?? '')?.[0];
  const isKnown = seconds !== undefined && Number(seconds) <= 9_007_199_254;
  same('time', event.occurredAt, isKnown ? Number(seconds) * 1_000_000 : 0);
  same('time is unknown', attributes['git.timeUnknown'] !== undefined, !isKnown);
}

function comparePerson(same, name, recorded, said) {
  same(`${name}Time`, recorded.time === undefined, said === undefined);
  if (said === undefined) return;
  same(name, bytesOf(recorded.person ?? '').toString('latin1'), said.person);
  same(`${name}Time`, bytesOf(recorded.time ?? '').toString('latin1'), said.time);
}

function compareChanges(same, events, { changes, files, present }, counts) {
  const recorded = changesIn(events);
  const { attributes } = events[0];
  same('number of changes', attributes['git.changesCount'], String(changes.length));
  same('changes listed', recorded.length, Math.min(changes.length, MAX_CHANGES));
  const list = Buffer.concat(changes.flatMap(({ raw, path }) => [Buffer.from(`${raw}\0`, 'latin1'), path, Buffer.of(0)]));
  same('SHA-256 of changes', attributes['git.changesSha256'], sha256(list));
  const missing = new Set();
  changes.slice(0, MAX_CHANGES).forEach((change, i) => {
    counts.changes++;
    same('status', recorded[i]?.status, change.status);
    if (change.before !== undefined && change.after !== undefined && change.before.mode !== change.after.mode) counts.modes++;
    for (const side of ['before', 'after']) compareSide(same, recorded[i]?.[side], change, { side, files, present, missing, counts });
  });
  counts.missing += missing.size;
  same('objects missing', attributes['git.objectsMissing'], missing.size === 0 ? undefined : String(missing.size));
}

function compareSide(same, recorded, change, { side, files, present, missing, counts }) {
  const said = change[side];
  same(`file ${side}`, recorded === undefined, said === undefined);
  if (said === undefined || recorded === undefined) return;
  const { mode, ref } = recorded;
  const isSubmodule = said.mode === '160000';
  if (isSubmodule) counts.submodules++;
  same(`mode ${side}`, mode, said.mode);
  same(`path ${side}`, bytesOf(ref.name).toString('latin1'), change.path.toString('latin1'));
  same(`object ${side}`, ref.version, isSubmodule ? `submodule:${said.id}` : said.id);
  const file = isSubmodule ? undefined : files.get(said.id);
  if (!isSubmodule && !present.has(said.id)) missing.add(said.id);
  same(`SHA-256 of ${said.id}`, ref.digest?.value, file?.type === 'blob' ? file.sha256 : undefined);
  same(`size of ${said.id}`, ref.size, file?.type === 'blob' ? file.size : null);
}

/** A file that git calls moved and unchanged was recorded as deleted and added, with one object and one digest. */
function compareRename(hash, recorded, { from, path, before, after }, differences, counts) {
  counts.renames++;
  const named = (side, name) =>
    recorded.find((change) => change[side] !== undefined && bytesOf(change[side].ref.name).equals(name))?.[side];
  const [old, made] = [named('before', from), named('after', path)];
  differences.same(`commit ${hash}: moved from ${from}`, `${old?.mode} ${old?.ref.version}`, `${before.mode} ${before.id}`);
  differences.same(`commit ${hash}: moved to ${path}`, `${made?.mode} ${made?.ref.version}`, `${after.mode} ${after.id}`);
  differences.same(`commit ${hash}: content moved`, old?.ref.digest?.value, made?.ref.digest?.value);
}

/** Parents come before their children. Of a commit where a shallow clone was cut, git takes the parents away. */
function compareOrder(recorded, cut, differences) {
  const places = new Map([...recorded].flatMap(([, [first]]) => [[first.id, first.logIndex]]));
  for (const [hash, [first]] of recorded)
    for (const { id } of cut.has(hash) ? [] : first.parents)
      if (places.has(id)) differences.same(`commit ${hash}: a parent comes first`, places.get(id) < first.logIndex, true);
}

/** The lines of a commit object that matter, by a reader of its own. */
function parseCommit(content) {
  const blank = content.indexOf('\n\n');
  const [header, message] = blank === -1 ? [content, Buffer.alloc(0)] : [content.subarray(0, blank + 1), content.subarray(blank + 2)];
  const lines = header.toString('latin1').split('\n');
  const parents = [];
  for (let i = 1; lines[i]?.startsWith('parent '); i++) parents.push(lines[i].slice('parent '.length));
  const person = (name) => {
    const line = lines.find((each) => each.startsWith(`${name} `))?.slice(name.length + 1);
    if (line === undefined) return undefined;
    const end = line.lastIndexOf('>') + 1;
    return { person: line.slice(0, end), time: line.slice(end).replace(/^ /, '') };
  };
  return { tree: lines[0].slice('tree '.length), parents, author: person('author'), committer: person('committer'), message };
}

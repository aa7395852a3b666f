"""Verifies an archive from docs/formats.md alone: verify.py ARCHIVE KEY… (each a verifier key, or a file that holds one).

verify.py --many reads one archive from each line of its input, as JSON: {"objects": {name: base64}, "keys": [verifier key …]}, and the members "origin"
and "genesis" where the archive must be of that origin and have that first policy, "since" where it must go on from these notes, and
"witnesses" where its notes must have the quorums of these witness policies (texts). It prints a line of
JSON for each."""
import base64
import json
import os
import sys

import archive
import derived
from judge import Log
from keys import Key, checkpoint, note, signers
from policy import Holder, load_chain
from replay import Replay, split_blocks
from report import Report
from segments import Segments
from shared import Shared
from strict_avro import Wrong
from witnesses import ShardWitnesses, WitnessPolicy, known_keys


class Pin:
    """A pinned log key is believed, whatever a policy says."""

    def __init__(self, key):
        self.key = key
        self.status = "ACTIVE"
        self.believed = None


def trust_of(chain, pinned, report):
    """root, logs or none; and the log keys that may sign."""
    newest = chain.newest
    if chain.signed_by(pinned):
        return "root", newest.logs
    texts = {holder.key.text for holder in newest.logs}
    pins = [key for key in pinned if key.text in texts]
    if pinned and not pins:
        report.failed("POLICY", "no pinned key is a root or log key of the archive", pinned[0].label)
    if {key.name for key in pins} == {holder.key.name for holder in newest.logs}:
        return "logs", [Pin(key) for key in pins]
    return "none", newest.logs


def verify(objects, pinned, origin=None, genesis=None, since=(), witnesses=()):
    report = Report()
    readers = [WitnessPolicy(text) for text in witnesses]
    report.by_reader = bool(readers)
    chain = load_chain(objects, report)
    schemas = archive.load_schemas(objects, report)
    if chain.newest is None:
        report.failed("POLICY", "there is no usable policy", "policies/")
        return report, "none"
    trust, holders = trust_of(chain, pinned, report)
    newest = chain.newest
    if origin not in (None, newest.origin):
        report.failed("POLICY", "the archive is of another origin", newest.origin)
    if genesis not in (None, chain.versions[0].digest.hex()):
        report.failed("POLICY", "the archive has another first policy", chain.versions[0].digest.hex())
    archive.check_names(objects, newest.shards, report)
    archive.check_contents(objects, newest, report)
    for digest in {digest for policy in chain.versions for digest in policy.json["schemas"]}:
        if f"schemas/{digest}.avsc" not in objects.names:
            report.failed("ARCHIVE", "schema is missing", digest)
    shared = Shared(report)
    kept = read_kept(since, newest, holders, report)
    for shard in range(newest.shards):
        log = Log(newest.origin, shard, newest.shards, schemas)
        verify_shard(objects, log, chain, holders, shared, report, kept, (readers, trust == "root"))
    shared.lanes.finish()
    shared.silence.finish(newest.shards)
    return report, trust


def waits_for_witnesses(chain):
    return any(policy.json["witnessing"] and policy.json["witnessing"]["required"] for policy in chain.versions)


def published(objects, log, roots, report, waits=False):
    """The size to verify: that of the published note, or where it cannot be used, of another."""
    folder = f"logs/{log.shard}/"
    if not any(name.startswith(folder) for name in objects.names):
        report.open("COMPLETE", "nothing of the shard is there", log.name)
        return None, []
    found = [(path, roots.read(path)) for path in (folder + "checkpoint", folder + "signed")]
    for match in objects.of(rf"{folder}checkpoints/({archive.NUMBER})"):
        head = roots.read(match[0])
        if head is not None and head[0] != int(match[1]):
            report.failed("ARCHIVE", "note of another size", match[0])
        found.append((match[0], head))
        if head is not None and head[0] == int(match[1]) and match[0] + ".cose" in objects.names:
            roots.check_tree_head(match[0] + ".cose", *head)
    (_, checkpoint), (_, signed) = found[:2]
    named = [head[0] for _, head in found[2:] if head]
    if checkpoint and signed and signed[0] < checkpoint[0]:
        report.failed("ARCHIVE", "signed note was set back", folder + "signed")
    if checkpoint and signed and signed[0] > checkpoint[0]:
        report.note("ARCHIVE", "signed note is not published yet", folder + "signed")
    if checkpoint and max(named, default=0) > checkpoint[0]:
        (report.note if waits else report.failed)("ARCHIVE", "published note was set back, or waits for witnesses", folder + "checkpoint")
    for match in objects.of(rf"{folder}cosignatures/({archive.NUMBER})\.[0-9a-f]{{16}}"):
        head = roots.read(match[0])
        if head is not None and head[0] != int(match[1]):
            report.failed("ARCHIVE", "note of another size", match[0])
        found.append((match[0], head))
    heads = [(path, head) for path, head in found if head]
    sizes = named + [head[0] for head in (checkpoint,) if head]
    return max(sizes or [head[0] for _, head in heads] or [0]), heads


def check_roots(tree, heads, report):
    for path, (size, root) in heads:
        if size < len(tree.roots) and tree.roots[size] != root:
            report.failed("LOG", "root of a note", path)


def read_kept(since, policy, holders, report):
    """Logs, sizes and roots of the notes that the reader kept, each signed by a log key."""
    found = []
    for data in since:
        try:
            text, claims = note(data.encode("utf-8"))
            name, size, root = checkpoint(text)
            keys = [holder.key for holder in holders if holder.key.name == name]
            if name not in {f"{policy.origin}/{shard}" for shard in range(policy.shards)} or not signers(claims, text.encode("utf-8"), keys):
                raise Wrong("no log key of the archive signed it")
            found.append((name, size, root))
        except Wrong as error:
            report.failed("LOG", "kept note is of another history", error)
    return found


def check_kept(tree, log, kept, report):
    for name, size, root in kept:
        if name == log.name and size > tree.expected:
            report.failed("LOG", "kept note covers more leaves", f"{name} {size}")
        elif name == log.name and size < len(tree.roots) and tree.roots[size] != root:
            report.failed("LOG", "kept note has another root", f"{name} {size}")


def verify_shard(objects, log, chain, holders, shared, report, kept=(), witnesses=((), False)):
    roots = archive.SignedRoots(objects, log.name, holders, log.shard, report)
    size, heads = published(objects, log, roots, report, waits_for_witnesses(chain))
    if size is None:
        return
    tree = archive.ShardTree(objects, log.shard, report)
    tree.load(size, [head for _, head in heads])
    tree.check_tiles()
    check_roots(tree, heads, report)
    check_kept(tree, log, kept, report)
    report.count("leaves", len(tree.leaves))
    if len(tree.leaves) < size:
        for name in ("LOG", "STREAMS", "SIGNATURES", "ORDER", "COMPLETE", "UNIQUE"):
            report.failed(name, "leaves cannot be read", f"{log.name} from {len(tree.leaves)}")
    segments = Segments(objects, log, tree, chain, holders, report)
    replay = Replay(log, tree, chain, shared, report)
    replay.shown = max([head[0] for _, head in heads] or [0])
    replay.snapshots, replay.size, replay.done = set(), 0, []
    blocks = split_blocks(tree, log, report)
    replay_shard(objects, replay, segments, holders, list(blocks), report)
    judge_witnesses(roots, tree, blocks, chain, witnesses, replay.shown, report)
    if not any(isinstance(holder, Pin) for holder in holders):
        signed = roots.signed + [entry for entry in segments.signed if entry[0].endswith(".manifest.json")]
        for path, at, labels in signed:
            if archive.out_of_use(labels, at, blocks, chain):
                report.failed("LOG", "signed by a retired log key", path)
    for match in objects.of(rf"logs/{log.shard}/checkpoints/({archive.NUMBER})"):
        if int(match[1]) not in {segment.end for segment in segments.list}:
            report.note("ARCHIVE", "note at no segment's end", match[0])
    derived.unused_snapshots(objects, replay, size, report)


def judge_witnesses(roots, tree, blocks, chain, given, shown, report):
    readers, rooted = given
    own = known_keys([policy.witnesses for policy in chain.versions if policy.witnesses]) if rooted else []
    seen = ShardWitnesses(roots.name, roots.notes, tree, readers, own, lambda size: archive.policy_at(size, blocks, chain), report)
    seen.judge_readers(readers, shown)
    if rooted:
        published_sizes = [size for path, size, _, _, _ in roots.notes if path.endswith("/checkpoint")]
        seen.judge_own(shown, published_sizes[0] if published_sizes else None, chain.newest)


def replay_shard(objects, replay, segments, holders, blocks, report):
    holders = [holder for holder in holders if holder.key.name == replay.log.name]
    for segment in segments.load():
        own = [block for block in blocks if segment.first <= block.first and block.seal_index < segment.end]
        while blocks and own and blocks[0].first < own[0].first:
            replay.done.append(blocks.pop(0))
            replay.block(replay.done[-1])
        for block in own:
            attach(block, segment, replay, report)
            replay.block(block)
            replay.shared.silence.closed(replay.log.shard, block)
            replay.done.append(block)
            blocks.remove(block)
        if not own or own[-1].seal_index + 1 != segment.end:
            continue
        replay.size = segment.end
        if f"logs/{replay.log.shard}/checkpoints/{segment.end}" not in objects.names:
            report.failed("ARCHIVE", "note of a segment is missing", segment.name)
        if f"logs/{replay.log.shard}/checkpoints/{segment.end}.cose" not in objects.names:
            report.failed("ARCHIVE", "COSE signature of a segment is missing", segment.name)
        derived.check_end(replay, segment, own, report)
        derived.check_manifest(replay, segment, own, report)
        derived.check_columns(replay, segment, own, report)
        derived.check_snapshot(objects, replay, holders, list(replay.done), report)
    for block in blocks:
        replay.block(block)
    derived.check_tail(replay, blocks, report)
    if blocks:
        for name in ("LOG", "STREAMS", "SIGNATURES", "ORDER", "COMPLETE", "UNIQUE", "POLICY"):
            report.open(name, "newest leaves are in no closed segment", f"{replay.log.name} from {blocks[0].first}")
    for hash_, place in replay.unsettled.items():
        if hash_ not in replay.accepted_headers:
            report.open("COMPLETE", "signed header was refused for its events and is not accepted", place)
    replay.shared.unique.check_later(replay)
    replay.shared.lanes.ends[replay.log.shard] = replay.state.appended_at


def attach(block, segment, replay, report):
    """Gives a block what the segment's files hold of it."""
    block.record = segment.evidence.get(block.seal_index)
    if block.record is None:
        report.failed("ARCHIVE", "evidence is missing", replay.place(block))
    refused = segment.refused.get(block.seal_index)
    block.refused = refused["events"] if refused else []
    block.refused_retired = segment.refused_retired
    block.events = {index: row["event"] for index, row in segment.rows.items() if block.first <= index < block.seal_index}


def read_key(text):
    if os.path.isfile(text):
        with open(text, encoding="utf-8") as file:
            text = file.read().strip()
    return Key(text)


def judge_line(line):
    """What is said of the archive on a line."""
    given = json.loads(line)
    objects = archive.GivenObjects({name: base64.b64decode(text) for name, text in given["objects"].items()})
    report, trust = verify(objects, [Key(text) for text in given["keys"]], given.get("origin"), given.get("genesis"), given.get("since", []), given.get("witnesses", []))
    return told(report, trust)


def told(report, trust):
    results = report.results(trust)
    word = report.word(results, trust)
    return {"word": word, "trust": trust, "properties": results, "counts": report.counts, "findings": report.findings}


def main(arguments):
    if arguments == ["--many"]:
        for line in sys.stdin:
            print(json.dumps(judge_line(line)), flush=True)
        return 0
    if not arguments or not os.path.isdir(arguments[0]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        pinned = [read_key(text) for text in arguments[1:]]
    except Wrong as error:
        print(f"a pinned key cannot be used: {error}", file=sys.stderr)
        return 2
    verdict = told(*verify(archive.Objects(arguments[0]), pinned))
    print(json.dumps(verdict, indent=1))
    return 1 if verdict["word"] == "FAILED" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

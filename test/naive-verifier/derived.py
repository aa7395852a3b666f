"""What the log gives again: columns of events files, manifests, ends of segments, snapshots (docs/formats.md §5)."""

from archive import believed_signers, out_of_use
from canonical_json import parse
from hashing import H, Tree
from keys import envelope, pae
from strict_avro import MAX_LONG, Cursor, Wrong, schema

SNAPSHOT = schema("snapshot")
MOST_LEAVES = 65_536
MOST_BYTES = 67_108_864


def check_columns(replay, segment, blocks, report):
    """Every column but the last is derived from the log."""
    for block in blocks:
        for at, link in enumerate(block.links):
            index = block.first + at
            row, header = segment.rows.pop(index, None), block.headers.get(link["inputOffset"])
            place = replay.place(block, f"leaf {index}")
            if row is None:
                if not segment.events_retired:
                    report.failed("ARCHIVE", "event is missing", place)
                else:
                    report.count("retired")
                continue
            if header is None:
                continue
            expected = {
                "streamIndex": link["index"],
                "acceptedAt": link["acceptedAt"],
                "producer": header.value["producer"],
                "epoch": header.value["epoch"],
                "seq": header.value["firstSeq"] + link["position"],
                "inputOffset": link["inputOffset"],
                "position": link["position"],
                "marks": link["marks"],
                "leafHash": replay.tree.hashes[index],
                "schema": link["schema"],
            }
            for name, value in expected.items():
                if row[name] != value:
                    report.failed("ARCHIVE", f"column {name}", place)
            if row["event"] is None:
                report.failed("STREAMS", "content of an event was removed", place)
    for index in segment.rows:
        report.failed("ARCHIVE", "record of no link", f"{segment.name} leaf {index}")


def rule_ends(blocks, policy, sizes):
    """Whether a segment of these blocks ends with the last of them."""
    leaves = blocks[-1].seal_index + 1 - blocks[0].first
    age = blocks[-1].seal["acceptedAt"] - blocks[0].seal["acceptedAt"]
    return leaves >= MOST_LEAVES or max(sizes) >= MOST_BYTES or age < 0 or age >= policy.millis("segmentMaxAgeMs") * 1000


def check_end(replay, segment, blocks, report):
    """A segment ends at the first seal at which the rule holds. A final seal is like any other."""
    if segment.events_retired or segment.refused_retired or any(block.record is None for block in blocks):
        return
    sizes = [0, 0, 0]
    for at, block in enumerate(blocks):
        sizes[0] += sum(len(block.events[index] or b"") for index in block.events)
        sizes[1] += sum(len(data) for data in block.refused)
        sizes[2] += len(block.record["evidence"])
        policy = block.policy
        ends = rule_ends(blocks[: at + 1], policy, sizes)
        if ends != (at + 1 == len(blocks)):
            report.failed("ARCHIVE", "end of a segment", f"{segment.name} at leaf {block.seal_index}")
            return


def check_tail(replay, blocks, report):
    """Leaves that no manifest covers: where leaves and times alone end a segment, its manifest is missing."""
    first = 0
    for at, block in enumerate(blocks):
        if rule_ends(blocks[first : at + 1], block.policy, [0]):
            # The manifest waits for the witnesses of the newest note.
            if block.seal_index + 1 == replay.shown and block.policy.witnesses:
                continue
            report.failed("ARCHIVE", "segment has no manifest", f"{replay.log.name} leaves {blocks[first].first} to {block.seal_index}")
            first = at + 1


def manifest_of(replay, segment, blocks):
    """All fields that need no file, and `occurred` where the events are there."""
    inputs = [item for block in blocks for item in block.inputs]
    receipts = [receipt for item in inputs for receipt in item["receipts"]]
    headers = [header for block in blocks for header in block.headers.values()]
    producers = {}
    for block in blocks:
        for link in block.links:
            name = block.headers[link["inputOffset"]].value["producer"]
            producers[name] = producers.get(name, 0) + 1
    sampled = {}
    for header in headers:
        lane = (header.value["producer"], header.value["epoch"])
        sampled[lane] = max(sampled.get(lane, 0), header.value["sampledOut"])

    def inputs_of(outcome):
        return sum(item["span"] for item in inputs if item["outcome"] == outcome)

    def receipts_of(outcome):
        return sum(receipt["outcome"] == outcome for receipt in receipts)

    times = [time for block in blocks for time in block.times]
    accepted = [block.seal["acceptedAt"] for block in blocks]
    return {
        "origin": replay.log.name,
        "first": segment.first,
        "end": segment.end,
        "root": replay.tree.roots[segment.end].hex(),
        "counts": {
            "links": sum(len(block.links) for block in blocks),
            "seals": len(blocks),
            "duplicates": receipts_of("DUPLICATE"),
            "conflicts": receipts_of("CONFLICT"),
            "repeated": inputs_of("REPEATED"),
            "rejected": inputs_of("REJECTED") + receipts_of("REJECTED"),
            "empty": inputs_of("EMPTY"),
            "sampledOut": min(sum(sampled.values()), MAX_LONG),
            "perProducer": [
                {"producer": name, "links": producers[name]} for name in sorted(producers, key=lambda each: each.encode("utf-8"))
            ],
        },
        "occurred": {"from": min(times), "to": max(times)} if times else None,
        "accepted": {"from": min(accepted), "to": max(accepted)},
        "schemas": sorted({link["schema"].hex() for block in blocks for link in block.links}),
        "policies": sorted({block.seal["policy"].hex() for block in blocks}),
        "offsets": offsets_of(blocks),
    }


def offsets_of(blocks):
    found = []
    for block in blocks:
        seal = block.seal
        if found and found[-1]["generation"] == seal["inputGeneration"]:
            found[-1]["to"] = seal["inputTo"]
        else:
            found.append({"generation": seal["inputGeneration"], "from": seal["inputFrom"], "to": seal["inputTo"]})
    return found


def check_manifest(replay, segment, blocks, report):
    """Every field derived again. `previous` is compared where the manifests are read."""
    if any(link["inputOffset"] not in block.headers or not block.judged for block in blocks for link in block.links):
        return
    if not all(block.judged for block in blocks):
        return
    derived = manifest_of(replay, segment, blocks)
    for name, value in derived.items():
        if name == "root" or (name == "occurred" and segment.events_retired):
            continue
        if segment.manifest[name] != value:
            report.failed("ARCHIVE", f"field {name} of a manifest", segment.name)
    schemas = [f"{digest[:16]}.events.avro" for digest in derived["schemas"]]
    refused = any(r["outcome"] != "DUPLICATE" for block in blocks for item in block.inputs for r in item["receipts"])
    kinds = schemas + ["evidence.avro"] + (["refused.avro"] if refused else [])
    expected = [f"{segment.first:020d}-{segment.end:020d}.{kind}" for kind in kinds]
    if [entry["name"] for entry in segment.manifest["objects"]] != expected:
        report.failed("ARCHIVE", "objects of a manifest", segment.name)


def check_snapshot(objects, replay, holders, blocks, report):
    """The snapshot at the present size, if there is one."""
    size = replay.size
    folder = f"logs/{replay.log.shard}/snapshots/{size}"
    if f"{folder}.json" not in objects.names:
        return
    replay.snapshots.add(f"{folder}.json")
    try:
        payload, claims = envelope(objects.read(f"{folder}.json"), "snapshot")
        labels = believed_signers(holders, claims, pae("snapshot", payload), replay.log.shard, size)
        if any(hasattr(holder, "value") for holder in holders) and out_of_use(labels, size, blocks, replay.chain):
            raise Wrong("signed by a retired log key")
        statement = parse(payload)
        if not isinstance(statement, dict) or set(statement) != {"origin", "size", "bytes", "sha256"}:
            raise Wrong("members of the statement")
        if statement["origin"] != replay.log.name or statement["size"] != size:
            raise Wrong("statement of another state")
        if f"{folder}.state" in objects.names:
            check_state(objects.read(f"{folder}.state"), statement, replay)
    except Wrong as error:
        report.failed("ARCHIVE", "snapshot", f"{folder}: {error}")


def check_state(data, statement, replay):
    """The state file, record by record in the order of §5."""
    if statement["bytes"] != len(data) or statement["sha256"] != H(data).hex():
        raise Wrong("statement of another file")
    cursor = Cursor(data)
    for name, expected in state_of(replay):
        record = cursor.take(int.from_bytes(cursor.take(4), "big"))
        branch, found = SNAPSHOT.decode(record)
        if branch != name:
            raise Wrong(f"{branch} in the place of {name}")
        for field, value in expected.items():
            if found[field] != value:
                raise Wrong(f"field {field}")
    if cursor.left() > 0:
        raise Wrong("records after the last one")


def state_of(replay):
    """The records that the log gives, each with its name. `chainOffset` no archive can tell."""
    state, log = replay.state, replay.log
    head = {
        "origin": log.origin,
        "shard": log.shard,
        "shards": log.shards,
        "size": replay.size,
        "frontier": frontier(replay.tree.hashes[: replay.size]),
        "seal": state.seal,
        "inputGeneration": state.generation,
        "inputTo": state.input_to,
        "appendedAt": state.appended_at,
        "acceptedAt": state.accepted_at,
        "policy": state.named,
        "final": state.final,
    }
    yield "SnapshotHead", head
    for name in sorted(state.streams, key=lambda name: name.encode("utf-8")):
        index, leaf, at = state.streams[name]
        yield "StreamHead", {"stream": name, "index": index, "hash": leaf, "logIndex": at, "producer": state.owners.get(name)}
    for producer, epoch in sorted(state.lanes, key=lambda lane: (lane[1], lane[0].encode("utf-8"))):
        lane = state.lanes[producer, epoch]
        values = {"number": lane.number, "hash": lane.hash, "appendedAt": lane.appended_at}
        yield "HeldLane", {"producer": producer, "epoch": epoch, **values}


def frontier(hashes):
    tree = Tree()
    for each in hashes:
        tree.add(each)
    return tree.frontier


def unused_snapshots(objects, replay, expected, report):
    """Snapshots at sizes at which no segment ends, and halves of snapshots."""
    for match in objects.of(rf"logs/{replay.log.shard}/snapshots/([0-9]+)\.(json|state)"):
        other = f"logs/{replay.log.shard}/snapshots/{match[1]}.{'state' if match[2] == 'json' else 'json'}"
        if other not in objects.names:
            report.note("ARCHIVE", "half of a snapshot", match[0])
        if match[2] == "state" or match[0] in replay.snapshots:
            continue
        if int(match[1]) > min(expected, len(replay.tree.leaves)):
            report.note("ARCHIVE", "beyond the checkpoint", match[0])
        else:
            report.failed("ARCHIVE", "snapshot at no segment's end", match[0])

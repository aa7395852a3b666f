"""Inputs of a block: batches, lanes, receipts (docs/formats.md §2 and the rules 6, 7, 10 and 11 of §3)."""
from hashing import H
from judge import contradicts, event_digest, judge_event, judge_header, receipt_id, digests_root
from strict_avro import Wrong

PROPERTY_OF_BATCH = {5: "POLICY", 6: "POLICY", 7: "POLICY", 8: "POLICY", 10: "POLICY", 11: "SIGNATURES", 12: "SIGNATURES"}
PROPERTY_OF_BATCH |= {13: "SIGNATURES", 14: "POLICY"}
LANE_FORK = 16
LANE_CAP = 18
STREAM_CAP = 39
NOT_COVERED = (8, 9, 15)
BEHIND_SIGNATURE = (0, 14)


class Held:
    """A lane of the state: the expected number, the hash of the last header, and when that came."""

    def __init__(self, number, hash_, appended_at):
        self.number = number
        self.hash = hash_
        self.appended_at = appended_at


class Header:
    """The header of an ACCEPTED batch, with what came of it. `holder`: its key in the policy, where nothing in it shows that it had to be refused."""

    def __init__(self, value, batch, item, gap, holder):
        self.proven = holder is not None
        self.most_streams = holder.value["maxStreams"] if holder else None
        self.value = value
        self.key_id = batch["keyId"]
        self.item = item
        self.gap = gap
        self.appended_at = item["appendedAt"]


def judge_inputs(replay, block, policy):
    """All inputs in order; then the positions and roots of the accepted batches."""
    seal, state, report = block.seal, replay.state, replay.report
    offset = seal["inputFrom"]
    refused = list(block.refused)
    wanted = sum(receipt["outcome"] != "DUPLICATE" for item in block.inputs for receipt in item["receipts"])
    if block.refused_retired:
        report.note("COMPLETE", "refused events were removed", replay.place(block))
    elif wanted != len(refused):
        report.failed("ARCHIVE", "number of refused events", replay.place(block))
        refused = []
    before, latest = state.appended_at, seal["acceptedAt"] + policy.millis("clockSkewMs") * 1000
    for item in block.inputs:
        if item["appendedAt"] > latest and item["appendedAt"] != before:
            report.failed("ORDER", "input is later than its block", replay.place(block, f"offset {offset}"))
        if item["appendedAt"] < state.appended_at:
            report.failed("ORDER", "input is before the one before it", replay.place(block, f"offset {offset}"))
        state.appended_at = item["appendedAt"]
        report.count("inputs", item["span"])
        _input(replay, block, policy, item, offset, refused)
        offset += item["span"]
    if offset != seal["inputTo"]:
        report.failed("COMPLETE", "evidence covers other offsets", replay.place(block))
    for offset, header in block.headers.items():
        _positions(replay, block, offset, header)


def _input(replay, block, policy, item, offset, refused):
    place, report = replay.place(block, f"offset {offset}"), replay.report
    if item["batch"] is None:
        if item["outcome"] == "REJECTED" and item["reason"] not in (1, 2, 3, 4, 17):
            report.failed("POLICY", f"batch was rejected for {item['reason']} and its header is not there", place)
        return
    shown, value = judge_header(item["batch"], policy, replay.log)
    report.count("signatures")
    if item["outcome"] == "REJECTED":
        wrong = contradicts(item["reason"], shown)
        if item["reason"] == LANE_FORK and shown == 0:
            wrong = lane_outcome(replay, policy, value, item) != "FORK"
        if item["reason"] == LANE_CAP and shown == 0:
            wrong = not beyond_cap(replay, policy, value, item)
        if wrong:
            report.failed("POLICY", f"batch was rejected for {item['reason']} and its header shows {shown}", place)
        if item["reason"] in NOT_COVERED and shown in BEHIND_SIGNATURE:
            replay.unsettled.setdefault(H(item["batch"]["header"]), place)
        return
    if shown:
        report.failed(PROPERTY_OF_BATCH[shown], f"batch had to be rejected for {shown}", place)
    if value is None:
        return
    hash_ = H(item["batch"]["header"])
    if item["outcome"] == "REPEATED":
        if hash_ not in replay.accepted_headers:
            report.failed("UNIQUE", "batch is called repeated that was not accepted", place)
        report.count("repeated")
        return
    _suspect(replay, block, value, item["batch"], offset)
    outcome = lane_outcome(replay, policy, value, item)
    if outcome in ("FORK", "REPEATED"):
        report.failed("ORDER", "batch does not follow its lane", place)
    if shown == 0 and beyond_cap(replay, policy, value, item):
        report.failed("POLICY", "lane beyond the cap of its producer", place)
    again = hash_ in replay.accepted_headers
    if again:
        report.note("UNIQUE", "batch was accepted before", place)
    replay.accepted_headers.add(hash_)
    holder = policy.producer(value["producer"], item["batch"]["keyId"]) if shown == 0 else None
    header = Header(value, item["batch"], item, outcome == "GAP", holder)
    block.headers[offset] = header
    replay.state.lanes[value["producer"], value["epoch"]] = Held(value["number"] + 1, hash_, item["appendedAt"])
    if not again:
        replay.shared.lanes.header(replay, value, hash_, item["appendedAt"], place)
    report.count("batches")
    _receipts(replay, block, policy, header, offset, refused)


def _suspect(replay, block, value, batch, offset):
    """A compromised key: header and receipts are cut at their seal, each link at its own leaf."""
    holder = replay.chain.newest.producer(value["producer"], batch["keyId"])
    if holder is None:
        return
    leaves = [block.first + at for at, link in enumerate(block.links) if link["inputOffset"] == offset]
    for leaf in leaves + [block.seal_index]:
        if holder.suspect(replay.log.shard, leaf):
            replay.report.failed("SIGNATURES", "signed by a compromised producer", replay.place(block, f"leaf {leaf}"))


def lane_outcome(replay, policy, value, item):
    """The table of §2, as far as the state knows; only the dedup index knows older headers."""
    held = replay.state.lanes.get((value["producer"], value["epoch"]))
    if held is None or item["appendedAt"] - held.appended_at > policy.millis("laneRetentionMs") * 1000:
        return "NEXT" if value["number"] == 0 else "GAP"
    if H(item["batch"]["header"]) == held.hash:
        return "REPEATED"
    if value["number"] < held.number or (value["number"] == held.number and value["previous"] != held.hash):
        return "FORK"
    return "NEXT" if value["number"] == held.number else "GAP"


def beyond_cap(replay, policy, value, item):
    """Whether a header would begin one lane more than its key may hold. Lanes that are forgotten with this block still count."""
    lanes = replay.state.lanes
    if (value["producer"], value["epoch"]) in lanes:
        return False
    most = policy.producer(value["producer"], item["batch"]["keyId"]).value["maxLanes"]
    return sum(producer == value["producer"] for producer, _ in lanes) >= most


def _receipts(replay, block, policy, header, offset, refused):
    for receipt in header.item["receipts"]:
        place = replay.place(block, f"offset {offset} position {receipt['position']}")
        if receipt["outcome"] == "DUPLICATE":
            replay.report.count("duplicates")
            replay.shared.unique.receipt(replay, block, header, receipt, None, place)
            continue
        data = refused.pop(0) if refused else None
        if data is not None:
            stream = _refused(replay, policy, header, receipt, data, place)
            if receipt["reason"] == STREAM_CAP:
                block.capped[offset, receipt["position"]] = stream
        if receipt["outcome"] == "CONFLICT":
            replay.report.count("conflicts")
            replay.shared.unique.receipt(replay, block, header, receipt, data, place)


def _refused(replay, policy, header, receipt, data, place):
    """Rule 11. Gives the stream of an event that is refused rightly."""
    if event_digest(header.value["schema"], data) != receipt["digest"]:
        replay.report.failed("ARCHIVE", "refused event is another", place)
        return None
    if not header.proven:
        return None
    try:
        reason, event = judge_event(data, header.value, header.key_id, policy, replay.log)
    except Wrong as error:
        replay.report.failed("ARCHIVE", "refused event cannot be judged", f"{place}: {error}")
        return None
    id_ = receipt_id(data, replay.log.schemas[header.value["schema"]])
    stated = 0 if receipt["reason"] == STREAM_CAP else receipt["reason"]
    if reason != stated or id_ != receipt["id"]:
        replay.report.failed("COMPLETE", f"event was refused for {receipt['reason']} and gives {reason}", place)
        return None
    return event["stream"] if event is not None else None


def _positions(replay, block, offset, header):
    """Rule 10: links and receipts fill the positions and build the root."""
    digests, count, place = {}, header.value["count"], replay.place(block, f"offset {offset}")
    found = [(link["position"], link["event"]) for link in block.links if link["inputOffset"] == offset]
    found += [(receipt["position"], receipt["digest"]) for receipt in header.item["receipts"]]
    for position, digest in found:
        if position in digests or not 0 <= position < count:
            replay.report.failed("COMPLETE", "position in a batch", place)
        digests[position] = digest
    if any(position not in digests for position in range(count)):
        replay.report.failed("COMPLETE", "events of a batch are missing", place)
        return
    if digests_root([digests[position] for position in range(count)]) != header.value["root"]:
        replay.report.failed("SIGNATURES", "root of a batch", place)

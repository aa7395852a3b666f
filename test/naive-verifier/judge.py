"""Batches and events, judged by a policy (docs/formats.md §1 to §3)."""
import unicodedata

from hashing import H, event_digest, shard_of, tree_root
from keys import pae
from policy import matches
from strict_avro import Wrong, schema

HEADER = schema("batch-header")
MOST_EVENTS = 1024
EVENT_BYTES = 262_144
HEADER_BYTES = 3_900
MOST_LANES = 80
LANE_NUMBER = 2**48 - 1
ZEROS = bytes(32)


class Log:
    """Which log is judged."""

    def __init__(self, origin, shard, shards, schemas):
        self.origin = origin
        self.shard = shard
        self.shards = shards
        self.schemas = schemas

    @property
    def name(self):
        return f"{self.origin}/{self.shard}"


def read_header(data):
    """A header that does not contradict itself."""
    if len(data) > HEADER_BYTES:
        raise Wrong("header is too large")
    header = HEADER.decode(data)
    if (header["number"] == 0) != (header["previous"] == ZEROS):
        raise Wrong("first header and previous header")
    if header["count"] == 0 and header["root"] != tree_root([], 3):
        raise Wrong("heartbeat with a root")
    if header["count"] > 0 and header["lanes"]:
        raise Wrong("batch that states lanes")
    if len(header["lanes"]) > MOST_LANES:
        raise Wrong("too many lanes")
    numbers = [header["number"], header["firstSeq"], header["sampledOut"]]
    if max(numbers + [stated[name] for stated in header["lanes"] for name in ("number", "seq")]) > LANE_NUMBER:
        raise Wrong("number of a lane is too large")
    return header


def judge_header(batch, policy, log):
    """Number of the first reason that header and signature show by themselves, or 0; and the header, if it can be read."""
    try:
        header = read_header(batch["header"])
    except Wrong:
        return 5, None
    if header["origin"] != log.origin:
        return 6, header
    if header["shard"] != log.shard:
        return 7, header
    if header["count"] > MOST_EVENTS:
        return 8, header
    if header["count"] == 0 and shard_of(header["producer"], log.shards) != log.shard:
        return 10, header
    holder = policy.producer(header["producer"], batch["keyId"])
    if holder is None:
        return 11, header
    if holder.status != "ACTIVE":
        return 12, header
    if not holder.key.verifies(pae("batch", batch["header"]), batch["signature"]):
        return 13, header
    if header["schema"].hex() not in policy.json["schemas"]:
        return 14, header
    return 0, header


def contradicts(reason, shown):
    """Whether a batch cannot have been rejected for `reason`, as its header shows `shown`. Needing the events: 8, 9 and 15."""
    if reason == shown:
        return False
    if shown == 0:
        return reason not in (8, 9, 15)
    return reason not in (8, 9) or reason > shown


def judge_event(data, header, key_id, policy, log):
    """Number of the first reason for which an event must not be linked, or 0; and the event, if it can be read."""
    if len(data) > EVENT_BYTES:
        return 32, None
    known = log.schemas.get(header["schema"])
    if known is None:
        raise Wrong(f"schema {header['schema'].hex()} is missing")
    try:
        event = known.decode(data)
    except Wrong:
        return 33, None
    if not follows_rules(event):
        return 34, event
    stream = event["stream"]
    if shard_of(stream, log.shards) != log.shard:
        return 35, event
    holder = policy.producer(header["producer"], key_id)
    if holder is None or not any(matches(each, stream) for each in holder.value["streams"]):
        return 36, event
    if holder.value["types"] and event["type"] not in holder.value["types"]:
        return 37, event
    if misses_field(event, policy.json["requiredFields"]):
        return 38, event
    return 0, event


def follows_rules(event):
    name = event["stream"]
    if not 1 <= len(name.encode("utf-8")) <= 256 or any(unicodedata.category(sign) == "Cc" for sign in name):
        return False
    names = [attribute["key"].encode("utf-8") for attribute in event["attributes"]]
    return all(one < next_ for one, next_ in zip(names, names[1:]))


def misses_field(event, demands):
    for demand in demands:
        if any(matches(each, event["stream"]) for each in demand["streams"]):
            for field in demand["fields"]:
                value = event
                for part in field.split("."):
                    value = None if value is None else value.get(part)
                if value is None or value == "" or value == []:
                    return True
    return False


def receipt_id(data, known):
    """The identity of a refused event, where the whole of it can be read and keeps the rules of its content."""
    try:
        event = known.decode(data) if len(data) <= EVENT_BYTES else None
    except Wrong:
        return None
    return event["id"] if event is not None and follows_rules(event) else None


def digests_root(digests):
    return tree_root(digests, 3)



"""A shard's log, block after block, with its state (docs/formats.md §3, Acceptance)."""
from hashing import H, shard_of
from inputs import judge_inputs
from judge import HEADER_BYTES, event_digest, judge_event
from keys import pae
from strict_avro import Wrong, schema

EVIDENCE = schema("evidence")
LEAF = schema("leaf")
ZEROS = bytes(32)
GAP_BEFORE = 1
MOST_LINKS = 65_536
MOST_IN_RUN = 65_536 // 4
RECORDS_UNREADABLE = 17
STREAM_CAP = 39
REASONS_OF_INPUT = range(1, 19)
SIGNATURE_BYTES = 128


class State:
    def __init__(self):
        self.seal = ZEROS
        self.streams = {}
        self.owners = {}
        self.lanes = {}
        self.generation = 0
        self.input_to = 0
        self.appended_at = 0
        self.accepted_at = 0
        self.window = -(2**62)
        self.policy = None
        self.named = None
        self.final = False


class Block:
    """Leaves from `first` to the seal, with what the segment's files hold about them."""

    def __init__(self, first, links, seal, seal_index):
        self.first = first
        self.links = links
        self.seal = seal
        self.seal_index = seal_index
        self.record = None
        self.policy = None
        self.events = {}
        self.refused = []
        self.refused_retired = False
        self.inputs = []
        self.headers = {}
        self.capped = {}
        self.times = []
        self.judged = False


def split_blocks(tree, log, report):
    """The blocks of the leaves, in order."""
    blocks, links, first = [], [], 0
    for index, leaf in enumerate(tree.leaves):
        try:
            kind, value = LEAF.decode(leaf)
            if kind == "Link" and value["marks"] > GAP_BEFORE:
                raise Wrong("unknown marks")
        except Wrong as error:
            report.failed("LOG", "leaf is neither link nor seal", f"{log.name} leaf {index}: {error}")
            return blocks
        if kind == "Link":
            links.append(value)
            continue
        blocks.append(Block(first, links, value, index))
        links, first = [], index + 1
    if links and len(tree.leaves) == tree.expected:
        report.failed("LOG", "links without a seal", f"{log.name} leaf {first}")
    return blocks


class Replay:
    """The fold. `shared` holds what goes over all shards: lanes, identities, policies."""

    def __init__(self, log, tree, chain, shared, report):
        self.log = log
        self.tree = tree
        self.chain = chain
        self.shared = shared
        self.report = report
        self.state = State()
        self.links = {}
        self.accepted_headers = set()
        self.unsettled = {}
        self.later = []

    def place(self, block, more=""):
        return f"{self.log.name} block {block.first}-{block.seal_index} {more}".strip()

    def _seal(self, block):
        """What leaves alone show."""
        seal, state, failed = block.seal, self.state, self.report.failed
        if state.final:
            failed("LOG", "block after the final one", self.place(block))
        if seal["origin"] != self.log.name:
            failed("LOG", "seal of another log", self.place(block))
        if seal["firstIndex"] != block.first or seal["links"] != len(block.links):
            failed("LOG", "seal covers other leaves", self.place(block))
        if seal["previous"] != state.seal:
            failed("LOG", "seal does not name the one before", self.place(block))
        if seal["root"] != self.tree.roots[block.seal_index]:
            failed("LOG", "root in the seal", self.place(block))
        if len(block.links) > MOST_LINKS:
            failed("LOG", "block is too large", self.place(block))
        self._streams(block)

    def _streams(self, block):
        for at, link in enumerate(block.links):
            index, name = block.first + at, link["stream"]
            last = self.state.streams.get(name, (-1, ZEROS, -1))
            if shard_of(name, self.log.shards) != self.log.shard:
                self.report.failed("STREAMS", "stream of another shard", self.place(block, f"leaf {index}"))
            if link["index"] != last[0] + 1:
                self.report.failed("STREAMS", "position in the stream", self.place(block, f"leaf {index}"))
            if link["previous"] != last[1]:
                self.report.failed("STREAMS", "link does not name the one before", self.place(block, f"leaf {index}"))
            self.state.streams[name] = (link["index"], self.tree.hashes[index], index)
            if link["acceptedAt"] != block.seal["acceptedAt"]:
                self.report.failed("ORDER", "time of a link", self.place(block, f"leaf {index}"))

    def block(self, block):
        """One block, with its evidence and events where the archive has them."""
        self._seal(block)
        policy = block.policy = self._policy(block)
        new_policy = self.state.policy is not policy
        self.state.policy = policy
        self._input_place(block, policy)
        if block.seal["acceptedAt"] < self.state.accepted_at and not new_policy:
            self.report.failed("ORDER", "block is before the one before it", self.place(block))
        if block.record is not None:
            if block.seal["policy"] in self.chain.by_digest:
                self._signature(block, policy)
            if self._evidence(block):
                self.links.update({block.first + at: link for at, link in enumerate(block.links)})
                judge_inputs(self, block, policy)
                self._links(block, policy)
                self._begun(block)
                block.judged = True
        self._advance(block, policy)

    def _policy(self, block):
        """The policy that the seal names; where it is missing, the one before goes on."""
        named = self.chain.by_digest.get(block.seal["policy"])
        if named is None:
            self.report.failed("POLICY", "policy is missing", self.place(block, block.seal["policy"].hex()))
            return self.state.policy or self.chain.newest
        if self.state.policy is not None and named.version < self.state.policy.version:
            self.report.failed("POLICY", "policy goes back", self.place(block))
        return named

    def _input_place(self, block, policy):
        seal, state = block.seal, self.state
        goes_on = seal["inputGeneration"] == state.generation and seal["inputFrom"] == state.input_to
        starts = policy.generation > state.generation and seal["inputGeneration"] == policy.generation and seal["inputFrom"] == policy.first_offsets[self.log.shard]
        if not goes_on and not starts:
            self.report.failed("COMPLETE", "hole in the input", self.place(block))

    def _signature(self, block, policy):
        key_id, failed = block.record["keyId"], self.report.failed
        holder = policy.chainer(block.seal["chainer"], key_id)
        self.report.count("signatures")
        if holder is None:
            return failed("SIGNATURES", "chainer is unknown", self.place(block))
        if holder.status != "ACTIVE":
            failed("SIGNATURES", "chainer is not active", self.place(block))
        message = pae("block", self.tree.leaves[block.seal_index])
        if not holder.key.verifies(message, block.record["signature"]):
            failed("SIGNATURES", "signature of a seal", self.place(block))
        newest = self.chain.newest.chainer(block.seal["chainer"], key_id)
        if newest is not None and newest.suspect(self.log.shard, block.seal_index):
            failed("SIGNATURES", "signed by a compromised chainer", self.place(block))

    def _evidence(self, block):
        data = block.record["evidence"]
        if H(data) != block.seal["evidence"]:
            self.report.failed("ARCHIVE", "digest of the evidence", self.place(block))
            return False
        try:
            block.inputs = EVIDENCE.decode(data)["inputs"]
            check_form(block.inputs)
            return True
        except Wrong as error:
            self.report.failed("ARCHIVE", "evidence cannot be read", self.place(block, error))
            return False

    def _links(self, block, policy):
        """Rule 9: each link belongs to an accepted batch, and its event may be there."""
        before, gaps = (-1, -1), set()
        for at, link in enumerate(block.links):
            place = self.place(block, f"leaf {block.first + at}")
            spot = (link["inputOffset"], link["position"])
            if spot <= before:
                self.report.failed("ORDER", "order of the links", place)
            before = spot
            header = block.headers.get(link["inputOffset"])
            if header is None:
                self.report.failed("SIGNATURES", "link without a batch", place)
                continue
            if link["schema"] != header.value["schema"]:
                self.report.failed("STREAMS", "schema of a link", place)
            first = link["inputOffset"] not in gaps
            gaps.add(link["inputOffset"])
            if link["marks"] != (GAP_BEFORE if header.gap and first else 0):
                self.report.failed("POLICY", "marks of a link", place)
            self._event(block, block.first + at, link, header, policy)

    def _begun(self, block):
        """The streams that the block began count for the producers of their first links; the caps, in the order of the input."""
        capped = [(offset, receipt["position"], header, receipt) for offset, header in block.headers.items() for receipt in header.item["receipts"] if receipt["reason"] == STREAM_CAP]
        links = [(link["inputOffset"], link["position"], None, link) for link in block.links if link["inputOffset"] in block.headers]
        owners = self.state.owners
        for offset, position, header, item in sorted(capped + links, key=lambda each: each[:2]):
            place = self.place(block, f"offset {offset} position {position}")
            name = item["stream"] if header is None else block.capped.get((offset, position))
            producer = block.headers[offset].value["producer"]
            cap = block.headers[offset].most_streams
            full = cap is not None and sum(owner == producer for owner in owners.values()) >= cap
            if header is None and name not in owners:
                if full:
                    self.report.failed("POLICY", "stream beyond the cap of its producer", place)
                owners[name] = producer
            elif header is not None and name is not None and cap is not None and (name in owners or not full):
                self.report.failed("COMPLETE", "event was refused for a cap that was not reached", place)

    def _event(self, block, index, link, header, policy):
        place = self.place(block, f"leaf {index}")
        data = block.events.get(index)
        if data is None:
            return
        if event_digest(header.value["schema"], data) != link["event"]:
            self.report.failed("STREAMS", "digest of an event", place)
            return
        if not header.proven:
            self._time_of(block, data, header)
            return
        try:
            reason, event = judge_event(data, header.value, header.key_id, policy, self.log)
        except Wrong as error:
            self.report.failed("ARCHIVE", "event cannot be judged", f"{place}: {error}")
            return
        if reason:
            self.report.failed(PROPERTY_OF_EVENT[reason], f"event had to be refused for {reason}", place)
        if event is not None:
            if event["stream"] != link["stream"]:
                self.report.failed("STREAMS", "event of another stream", place)
            self.shared.unique.link(self, index, link, header, event["id"], place)
        if event is not None:
            block.times.append(event["occurredAt"])
        self.report.count("events")

    def _time_of(self, block, data, header):
        """Of the events of a batch that had to be refused, only the time is needed, for the manifest."""
        try:
            block.times.append(self.log.schemas[header.value["schema"]].decode(data)["occurredAt"])
        except (Wrong, KeyError):
            pass

    def window_at(self, appended_at):
        """Start of the dedup window for an input, by the policy of its block."""
        length = (self.state.policy.millis("dedupWindowMs") + self.state.policy.millis("clockSkewMs")) * 1000
        return max(self.state.window, appended_at - length)

    def _advance(self, block, policy):
        state, seal = self.state, block.seal
        state.seal = self.tree.hashes[block.seal_index]
        state.generation = seal["inputGeneration"]
        state.input_to = seal["inputTo"]
        state.accepted_at = seal["acceptedAt"]
        state.named = seal["policy"]
        state.final = seal["final"]
        keep = policy.millis("laneRetentionMs") * 1000
        state.lanes = {lane: held for lane, held in state.lanes.items() if state.appended_at - held.appended_at <= keep}
        state.window = self.window_at(state.appended_at)
        self.report.count("blocks")


PROPERTY_OF_EVENT = {32: "STREAMS", 33: "STREAMS", 34: "STREAMS", 35: "STREAMS", 36: "SIGNATURES", 37: "SIGNATURES", 38: "POLICY", 39: "POLICY"}


def check_form(inputs):
    """What docs/formats.md §3 says of single inputs and receipts."""
    for item in inputs:
        outcome, batch = item["outcome"], item["batch"]
        if (item["message"] is not None) != (outcome == "REJECTED"):
            raise Wrong("message of an input")
        if not 1 <= item["span"] <= most_offsets(item):
            raise Wrong("span of an input")
        if item["reason"] == RECORDS_UNREADABLE and batch is not None:
            raise Wrong("batch of records that cannot be read")
        if batch is not None and (len(batch["header"]) > HEADER_BYTES or len(batch["signature"]) > SIGNATURE_BYTES):
            raise Wrong("size of a header or signature")
        if batch is None and outcome in ("ACCEPTED", "REPEATED"):
            raise Wrong("input without a batch")
        if batch is not None and outcome == "EMPTY":
            raise Wrong("batch of an empty offset")
        if (item["reason"] in REASONS_OF_INPUT) != (outcome == "REJECTED") or (item["reason"] != 0 and outcome != "REJECTED"):
            raise Wrong("reason of an input")
        if item["receipts"] and outcome != "ACCEPTED":
            raise Wrong("receipts of an input that was not accepted")
        last = -1
        for receipt in item["receipts"]:
            if receipt["position"] <= last:
                raise Wrong("order of the receipts")
            last = receipt["position"]
            if (receipt["original"] is not None) != (receipt["outcome"] != "REJECTED"):
                raise Wrong("original of a receipt")
            if (receipt["reason"] in PROPERTY_OF_EVENT) != (receipt["outcome"] == "REJECTED") or (receipt["reason"] != 0 and receipt["outcome"] != "REJECTED"):
                raise Wrong("reason of a receipt")
    if inputs and is_run(inputs[-1]):
        raise Wrong("a run at the end of a block")


def is_run(item):
    return item["outcome"] == "REJECTED" and 1 <= item["reason"] <= 4 and item["span"] > 1


def most_offsets(item):
    """The largest span of an entry."""
    if item["outcome"] == "EMPTY" or (item["outcome"] == "REJECTED" and item["reason"] == RECORDS_UNREADABLE):
        return 2**31 - 1
    run = item["outcome"] == "REJECTED" and 1 <= item["reason"] <= 4 and item["batch"] is None
    return MOST_IN_RUN if run else 1

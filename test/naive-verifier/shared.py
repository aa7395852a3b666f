"""What goes over blocks and shards: lanes with their ends, and identities (docs/formats.md §2, §3; SECURITY.md)."""
from hashing import shard_of
from judge import MOST_LANES
from strict_avro import Wrong


class Lane:
    def __init__(self):
        self.number = 0
        self.seq = 0
        self.hash = bytes(32)
        self.final = None
        self.due = None
        self.stated = (0, 0)
        self.sampled = 0


def shorter(one, other):
    return one[0] < other[0] or one[1] < other[1]


def larger(one, other):
    return (max(one[0], other[0]), max(one[1], other[1]))


class Lanes:
    """Every lane of every shard, from its first header to its last."""

    def __init__(self, report):
        self.report = report
        self.lanes = {}
        self.ends = {}

    def lane(self, producer, epoch, shard):
        return self.lanes.setdefault((producer, epoch, shard), Lane())

    def header(self, replay, value, hash_, appended_at, place):
        """An accepted header."""
        failed = self.report.failed
        lane = self.lane(value["producer"], value["epoch"], replay.log.shard)
        if value["number"] > lane.number or value["firstSeq"] > lane.seq:
            failed("COMPLETE", "gap in a lane", place)
        elif value["number"] < lane.number:
            failed("COMPLETE", "batch after one with a higher number", place)
        elif value["previous"] != lane.hash:
            failed("COMPLETE", "batch does not name the header before it", place)
        if value["firstSeq"] < lane.seq:
            failed("COMPLETE", "sequence numbers twice", place)
        if value["sampledOut"] < lane.sampled:
            self.report.note("COMPLETE", "fewer events are stated as sampled out than before", place)
        lane.sampled = max(lane.sampled, value["sampledOut"])
        lane.number = max(lane.number, value["number"] + 1)
        lane.seq = max(lane.seq, value["firstSeq"] + value["count"])
        lane.hash = hash_
        for stated in value["lanes"]:
            other = self.lane(value["producer"], stated["epoch"], stated["shard"])
            said = (stated["number"], stated["seq"])
            if shorter(said, other.stated):
                self.report.note("COMPLETE", "less of a lane is stated than before", place)
            other.stated = larger(other.stated, said)
            if stated["final"] and (other.final is None or shorter(other.final, said)):
                other.final, other.due = larger(other.final or said, said), self._due(replay, stated["shard"], appended_at)
        if value["count"] == 0:
            self.report.count("heartbeats")

    def _due(self, replay, shard, appended_at):
        """From when on a batch that was stated as sent can no more be on its way: at once within one log."""
        if shard == replay.log.shard:
            return -1
        return appended_at + replay.state.policy.millis("clockSkewMs") * 1000

    def finish(self):
        """Lanes that are not closed, and lanes that are shorter than stated."""
        for (producer, epoch, shard), lane in sorted(self.lanes.items()):
            place = f"lane {producer} {epoch.hex()} {shard}"
            self.report.count("lanes")
            short = lane.final and shorter((lane.number, lane.seq), lane.final)
            if short and self.ends.get(shard, -1) > lane.due:
                self.report.failed("COMPLETE", "gap at the end of a lane", place)
            elif shorter((lane.number, lane.seq), lane.stated):
                self.report.open("COMPLETE", "lane is shorter than stated", place)
            elif lane.final is None and lane.number > 0:
                self.report.open("COMPLETE", "lane is open", place)
            elif lane.final and (lane.number, lane.seq) > lane.final:
                self.report.note("COMPLETE", "lane went on after its end", place)


class Silence:
    """Producers that must be heard: by the times at which their heartbeats were signed, between blocks of closed segments."""

    def __init__(self, report):
        self.report = report
        self.heard = {}
        self.reigns = {}

    def closed(self, shard, block):
        """A block of a closed segment, with its headers."""
        time, reigns = block.seal["acceptedAt"], self.reigns.setdefault(shard, [])
        if reigns and reigns[-1]["policy"] is block.policy:
            reigns[-1]["until"] = time
        else:
            reigns.append({"policy": block.policy, "from": time, "until": time})
        for header in block.headers.values():
            if header.value["count"] == 0 and len(header.value["lanes"]) < MOST_LANES:
                self.heard.setdefault(header.value["producer"], []).append(header.value["createdAt"])

    def finish(self, shards):
        policies = [reign["policy"] for reigns in self.reigns.values() for reign in reigns]
        for name in sorted({holder.key.name for policy in policies for holder in policy.producers}):
            home = shard_of(name, shards)
            for duty in duties(name, self._judging(home)):
                self._judge(name, home, duty)

    def _judging(self, home):
        """The blocks that decide: those of the home shard, unless it is too far behind another."""
        if not self.reigns:
            return []
        own = self.reigns.get(home)
        furthest = max(self.reigns.values(), key=lambda reigns: reigns[-1]["until"])
        reached = own[-1]["until"] if own else furthest[0]["from"]
        if furthest[-1]["until"] - reached > furthest[-1]["policy"].millis("segmentMaxAgeMs") * 1000:
            return furthest
        return own or []

    def _judge(self, name, home, duty):
        start, end = min(demand["from"] for demand in duty), duty[-1]["until"]
        times = sorted(time for time in self.heard.get(name, []) if start < time < end)
        for before, after in zip([start] + times, times + [end]):
            froms = [demand["from"] for demand in duty] + [float("inf")]
            in_force = [demand for at, demand in enumerate(duty) if froms[at] < after and froms[at + 1] > before]
            if after - before > max(demand["longest"] for demand in in_force or duty):
                self.report.open("COMPLETE", "producer was silent", f"shard {home} {name} from {before} to {after}")


def duties(name, reigns):
    """Runs of blocks whose policies oblige a producer."""
    found, going = [], False
    for reign in reigns:
        policy = reign["policy"]
        demands = [each.value["heartbeatMs"] for each in policy.producers if each.key.name == name and each.status == "ACTIVE"]
        demands = [each for each in demands if each is not None]
        if demands:
            longest = (min(demands) + policy.millis("clockSkewMs")) * 1000
            found = found if going else found + [[]]
            found[-1].append({"from": reign["from"], "until": reign["until"], "longest": longest})
        going = bool(demands)
    return found


class Unique:
    """Identities of links, and originals of receipts. An identity lives in one shard, as its stream does."""

    def __init__(self, report):
        self.report = report
        self.last = {}
        self.of = {}

    def link(self, replay, index, link, header, id_, place):
        """The window runs on `appendedAt`, by the policy of the block, and its start never goes back."""
        identity = (link["stream"], id_)
        before = self.last.get(identity)
        if before is not None:
            if before[1] >= replay.window_at(header.appended_at):
                self.report.failed("UNIQUE", "identity is linked twice", place)
            else:
                self.report.note("UNIQUE", "identity is linked again after the window", place)
        self.last[identity] = (index, header.appended_at)
        self.of[(replay.log.shard, index)] = identity

    def receipt(self, replay, block, header, receipt, data, place):
        """`original` is a link before the receipt with the same identity: the same event for a DUPLICATE, another for a CONFLICT."""
        original = receipt["original"]
        target = replay.links.get(original)
        before = target is not None and (target["inputOffset"], target["position"]) < (
            self._offset(block, header),
            receipt["position"],
        )
        if target is None or (original >= block.first and not before):
            self.report.failed("UNIQUE", "original is no link before the receipt", place)
            return
        same = target["event"] == receipt["digest"]
        if same != (receipt["outcome"] == "DUPLICATE"):
            self.report.failed("UNIQUE", "original shows the opposite", place)
        self._pending(replay, original, receipt, data, header, place)

    def _offset(self, block, header):
        return next(offset for offset, each in block.headers.items() if each is header)

    def _pending(self, replay, original, receipt, data, header, place):
        """The identity of the original: its id, and for a CONFLICT also the stream of the refused event."""
        replay.later.append((original, receipt, data, header, place))

    def check_later(self, replay):
        for original, receipt, data, header, place in replay.later:
            identity = self.of.get((replay.log.shard, original))
            if identity is None:
                continue
            if identity[1] != receipt["id"]:
                self.report.failed("UNIQUE", "original has another identity", place)
            elif data is not None:
                try:
                    event = replay.log.schemas[header.value["schema"]].decode(data)
                except (Wrong, KeyError):
                    continue
                if event["stream"] != identity[0]:
                    self.report.failed("UNIQUE", "original has another identity", place)


class Shared:
    def __init__(self, report):
        self.lanes = Lanes(report)
        self.silence = Silence(report)
        self.unique = Unique(report)

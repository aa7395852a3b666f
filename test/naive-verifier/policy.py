"""Policies and their chain (docs/formats.md §6)."""
import re

from canonical_json import parse
from hashing import H
from keys import Key, check_name, envelope, pae, signers
from strict_avro import MAX_LONG, Wrong
from witnesses import of_policy

TYPES = "CREATE TRANSFORM AGGREGATE TRANSMIT RECEIVE ACCESS DELETE DEPLOY ATTEST CONFIGURE OTHER".split()
REQUIRABLE = (
    "actor.onBehalfOf activity activity.runId activity.version activity.environment inputs outputs parents trace attributes facets"
).split()
MOST_CAP = 4_000_000
CENTURY_MS = 36_600 * 86_400_000
ITEMS = 4096
ORDER = ["ACTIVE", "RETIRED", "COMPROMISED"]


def fail(what):
    raise Wrong(f"policy: {what}")


def members(value, names):
    if not isinstance(value, dict) or set(value) != set(names.split()):
        fail(f"members are not {names}")
    return value


def a_list(value, least=0):
    if not isinstance(value, list) or not least <= len(value) <= ITEMS:
        fail("list")
    return value


def whole(value, low, high=MAX_LONG):
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        fail(f"number {value!r}")
    return value


def text(value, pattern=None):
    if not isinstance(value, str) or (pattern and not re.fullmatch(pattern, value)):
        fail(f"text {value!r}")
    return value


def digest(value):
    return text(value, "[0-9a-f]{64}")


def pattern(value):
    """An exact name of a stream, or a prefix and one final *."""
    text(value)
    if not 1 <= len(value.encode("utf-8")) <= 256 or "*" in value[:-1]:
        fail("pattern of streams")
    return value


def matches(pattern_, stream):
    """Streams of the system are matched only by patterns that start with lineproof/."""
    if stream.startswith("lineproof/") and not pattern_.startswith("lineproof/"):
        return False
    return stream.startswith(pattern_[:-1]) if pattern_.endswith("*") else stream == pattern_


class Holder:
    """A key of a role in a policy."""

    def __init__(self, value, shards):
        self.key = Key(text(value["key"]))
        self.status = value["status"]
        if self.status not in ORDER:
            fail("status")
        self.believed = value["believed"]
        if (self.believed is not None) != (self.status == "COMPROMISED"):
            fail("believed")
        if self.believed is not None:
            if len(a_list(self.believed)) != shards:
                fail("believed")
            for size in self.believed:
                whole(size, 0)
        self.value = value

    def suspect(self, shard, index):
        """Whether what it signed in the leaf `index` is not believed."""
        return self.status == "COMPROMISED" and index >= self.believed[shard]


class Policy:
    def __init__(self, payload):
        if len(payload) > 1_048_576:
            fail("too large")
        self.payload = payload
        self.digest = H(payload)
        p = members(
            parse(payload),
            "origin shards version previous formatLevel roots producers chainers logs readers schemas requiredFields sampling "
            "clockSkewMs dedupWindowMs laneRetentionMs segmentMaxAgeMs retention objectLock witnessing inputGeneration predecessor",
        )
        self.json = p
        self.origin = check_name(text(p["origin"]))
        self.shards = whole(p["shards"], 1, ITEMS)
        self.version = whole(p["version"], 1)
        if (p["previous"] is None) != (self.version == 1):
            fail("previous")
        self.previous = None if p["previous"] is None else bytes.fromhex(digest(p["previous"]))
        if whole(p["formatLevel"], 1) != 1:
            fail("a format level that this verifier does not know")
        members(p["roots"], "keys threshold")
        self.roots = [Key(text(key)) for key in a_list(p["roots"]["keys"], 1)]
        self.threshold = whole(p["roots"]["threshold"], 1, len(self.roots))
        for each in a_list(p["producers"]):
            members(each, "key status believed streams types heartbeatMs maxStreams maxLanes")
            for name in a_list(each["streams"]):
                pattern(name)
            if any(name not in TYPES for name in a_list(each["types"])):
                fail("types")
            whole(each["maxStreams"], 0, MOST_CAP)
            whole(each["maxLanes"], 0, MOST_CAP)
            if each["heartbeatMs"] is not None:
                whole(each["heartbeatMs"], 1, CENTURY_MS)
        for each in a_list(p["chainers"], 1) + a_list(p["logs"], 1):
            members(each, "key status believed")
        self.producers = [Holder(each, self.shards) for each in p["producers"]]
        self.chainers = [Holder(each, self.shards) for each in p["chainers"]]
        self.logs = [Holder(each, self.shards) for each in p["logs"]]
        names = {f"{self.origin}/{shard}" for shard in range(self.shards)}
        if {holder.key.name for holder in self.logs} != names:
            fail("names of log keys")
        self._others(p)
        self._roles()

    def _others(self, p):
        for each in a_list(p["readers"]):
            members(each, "name roles streams")
        for each in a_list(p["schemas"], 1):
            digest(each)
        for each in a_list(p["requiredFields"]):
            members(each, "streams fields")
            for name in a_list(each["streams"]):
                pattern(name)
            if any(name not in REQUIRABLE for name in a_list(each["fields"])):
                fail("required fields")
        for each in a_list(p["sampling"]):
            members(each, "streams types keepOneIn")
        whole(p["clockSkewMs"], 0, CENTURY_MS)
        for name in ("dedupWindowMs", "laneRetentionMs", "segmentMaxAgeMs"):
            whole(p[name], 1, CENTURY_MS)
        if p["laneRetentionMs"] < 2 * (p["dedupWindowMs"] + p["clockSkewMs"]):
            fail("laneRetentionMs")
        for value in members(p["retention"], "eventsKeepMs refusedKeepMs").values():
            if value is not None:
                whole(value, 1, CENTURY_MS)
        if p["objectLock"] is not None:
            members(p["objectLock"], "mode days")
        self.witnesses = None if p["witnessing"] is None else self._witnessing(p["witnessing"])
        members(p["inputGeneration"], "generation firstOffsets")
        self.generation = whole(p["inputGeneration"]["generation"], 0, 2**31 - 1)
        self.first_offsets = a_list(p["inputGeneration"]["firstOffsets"])
        if len(self.first_offsets) != self.shards:
            fail("firstOffsets")
        for offset in self.first_offsets:
            whole(offset, 0)
        if p["predecessor"] is not None:
            members(p["predecessor"], "origin checkpoints")

    def _witnessing(self, value):
        members(value, "witnesses required deadlineMs")
        if not isinstance(value["required"], bool):
            fail("required")
        whole(value["deadlineMs"], 1, 300_000)
        return of_policy(text(value["witnesses"]))

    def _roles(self):
        """No public key has two roles, no two keys have the same label, and no root has two names."""
        roles = [("root", key) for key in self.roots]
        roles += [("producer", holder.key) for holder in self.producers]
        roles += [("chainer", holder.key) for holder in self.chainers]
        roles += [("log", holder.key) for holder in self.logs]
        roles += [("witness", key) for key in (self.witnesses.keys() if self.witnesses else [])]
        role_of, labels = {}, set()
        for role, key in roles:
            if role_of.setdefault(key.public, role) != role:
                fail("a public key has two roles")
            if key.label in labels:
                fail("two keys with one name and id")
            labels.add(key.label)
        if len({key.public for key in self.roots}) != len(self.roots):
            fail("a root key under two names")

    def millis(self, name):
        return self.json[name]

    def producer(self, name, key_id):
        return holder_of(self.producers, name, key_id)

    def chainer(self, name, key_id):
        return holder_of(self.chainers, name, key_id)


def holder_of(holders, name, key_id):
    for holder in holders:
        if holder.key.name == name and holder.key.id == key_id:
            return holder
    return None


def follows(old, new):
    """Refuses a version that may not come after another."""
    if new.version != old.version + 1 or new.previous != old.digest:
        fail("does not name the version before it")
    if new.origin != old.origin or new.shards != old.shards:
        fail("origin or shards change")
    if new.json["formatLevel"] < old.json["formatLevel"]:
        fail("formatLevel falls")
    if new.generation not in (old.generation, old.generation + 1):
        fail("generation")
    if new.generation == old.generation and new.first_offsets != old.first_offsets:
        fail("firstOffsets change without the generation")
    for name in ("producers", "chainers", "logs"):
        for holder in getattr(old, name):
            after = holder_of(getattr(new, name), holder.key.name, holder.key.id)
            if after is None or after.key.text != holder.key.text:
                fail("a key is removed")
            if ORDER.index(after.status) < ORDER.index(holder.status):
                fail("a status moves back")
            if holder.believed is not None and after.believed != holder.believed:
                fail("believed changes")


def threshold_signed(policy, claims, by):
    message = pae("policy", policy.payload)
    if len(signers(claims, message, by.roots)) < by.threshold:
        fail(f"version {policy.version} is not signed by the threshold of version {by.version}")


class Chain:
    """All usable versions, in order."""

    def __init__(self):
        self.versions = []
        self.by_digest = {}
        self.claims = []

    def add(self, policy, claims):
        if self.versions:
            follows(self.versions[-1], policy)
            threshold_signed(policy, claims, self.versions[-1])
        elif policy.version != 1:
            fail("the first version is missing")
        threshold_signed(policy, claims, policy)
        self.versions.append(policy)
        self.claims.append(claims)
        self.by_digest[policy.digest] = policy

    @property
    def newest(self):
        return self.versions[-1] if self.versions else None

    def signed_by(self, pinned):
        """Whether a pinned key signed a version as one of its root keys: such a version vouches for those before and after it."""
        for policy, claims in zip(self.versions, self.claims):
            roots = [key for key in policy.roots if any(key.text == pin.text for pin in pinned)]
            if signers(claims, pae("policy", policy.payload), roots):
                return True
        return False


def load_chain(objects, report):
    """Reads policies/ and adds version after version. A name that is not the digest of the payload is a finding too."""
    found = []
    for name in sorted(objects.names):
        match = re.fullmatch(r"policies/([0-9a-f]{64})\.json", name)
        if not match:
            continue
        try:
            payload, claims = envelope(objects.read(name, 1_500_000), "policy")
            policy = Policy(payload)
            if policy.digest.hex() != match[1]:
                fail("its name is not its digest")
            found.append((policy, claims, name))
        except Wrong as error:
            report.failed("POLICY", "policy cannot be used", f"{name}: {error}")
    chain = Chain()
    for policy, claims, name in sorted(found, key=lambda each: each[0].version):
        try:
            chain.add(policy, claims)
        except Wrong as error:
            report.failed("POLICY", "policy does not follow", f"{name}: {error}")
    return chain

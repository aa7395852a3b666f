"""Checks a proof of one event from docs/formats.md §4 alone: proof.py FILE KEY… (each a verifier key).

proof.py --many reads one proof from each line of its input, as JSON: {"proof": base64, "keys": [verifier key …]}, and prints a line of JSON for each."""
import base64
import json
import re
import sys

from canonical_json import parse
from hashing import H, event_digest, leaf_hash
from judge import Log, follows_rules, judge_event, judge_header, read_header
from keys import Key, checkpoint, envelope, note, pae, signers, unbase64
from policy import Chain, Policy
from strict_avro import Schema, Wrong, schema
from witnesses import WitnessPolicy, cosigners, for_log, known_keys

PROOF = schema("event-proof")
LEAF = schema("leaf")
MOST_BYTES = 16_777_216
LINES = re.compile(r"c2sp\.org/tlog-proof@v1\n(?:extra ([A-Za-z0-9+/=]*)\n)?index (0|[1-9][0-9]{0,15})\n((?:[A-Za-z0-9+/=]+\n)*)\n")


def fail(words):
    raise Wrong(words)


def read_file(data):
    """Extra, index, path and note."""
    if len(data) > MOST_BYTES:
        fail("proof is too large")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Wrong("proof is not UTF-8") from error
    match = LINES.match(text)
    if not match or not match[1]:
        fail("not a proof with extra data")
    path = [unbase64(line) for line in match[3].split("\n")[:-1]]
    if int(match[2]) >= 2**53 or len(path) > 53 or any(len(each) != 32 for each in path):
        fail("index or path")
    return unbase64(match[1]), int(match[2]), path, text[match.end() :]


def leaf_of(data, kind):
    found, value = LEAF.decode(data)
    if found != kind:
        fail(f"leaf is not a {kind}")
    return value


def included(path, size, index, hash_, root):
    """RFC 9162 §2.1.3.2."""
    if index >= size:
        return False
    node, last = index, size - 1
    for each in path:
        if last == 0:
            return False
        if node % 2 == 1 or node == last:
            hash_ = H(b"\x01" + each + hash_)
            while node % 2 == 0 and node != 0:
                node, last = node // 2, last // 2
        else:
            hash_ = H(b"\x01" + hash_ + each)
        node, last = node // 2, last // 2
    return last == 0 and hash_ == root


def in_batch(path, count, position, digest, root):
    """The shape of RFC 6962 §2.1 with nodes of a batch tree."""
    if not 0 <= position < count:
        return False
    path, width = list(path), count
    while width > 1:
        if position % 2 == 1 or position + 1 < width:
            if not path:
                return False
            other = path.pop(0)
            digest = H(b"\x03" + (other + digest if position % 2 == 1 else digest + other))
        position, width = position // 2, (width + 1) // 2
    return not path and digest == root


class Proof:
    """A proof taken apart: every part can be read, and nothing is checked."""

    def __init__(self, data):
        extra, self.index, self.path, self.note = read_file(data)
        self.text, self.claims = note(self.note.encode("utf-8"))
        self.log, self.size, self.root = checkpoint(self.text)
        place = re.fullmatch(r"(.+)/(0|[1-9][0-9]{0,3})", self.log) or fail("log is not a shard of an origin")
        self.origin, self.shard = place[1], int(place[2])
        self.given = PROOF.decode(extra)
        self.link = leaf_of(self.given["leaf"], "Link")
        parse(self.given["schema"].encode("utf-8"))
        self.schema = Schema(self.given["schema"], negative=True)
        self.schema_digest = H(self.given["schema"].encode("utf-8"))
        self.event = self.schema.decode(self.given["event"])
        if not follows_rules(self.event):
            fail("event breaks a rule")
        self.header = read_header(self.given["header"])
        self.producer = Key(self.given["producerKey"])
        self.seal = None if self.given["seal"] is None else leaf_of(self.given["seal"]["leaf"], "Seal")


def contradictions(proof):
    link, header, given, seal = proof.link, proof.header, proof.given, proof.seal
    yield link["schema"] == proof.schema_digest == header["schema"], "schemas"
    yield header["origin"] == proof.origin and header["shard"] == proof.shard, "log of the batch"
    yield link["position"] < header["count"], "position"
    yield (proof.producer.name, proof.producer.id) == (header["producer"], given["keyId"]), "key of the producer"
    yield proof.event["stream"] == link["stream"], "stream"
    yield event_digest(link["schema"], given["event"]) == link["event"], "event"
    if seal is None:
        return
    first, end = seal["firstIndex"], seal["firstIndex"] + seal["links"]
    yield seal["origin"] == proof.log, "log of the seal"
    yield first <= proof.index < end and given["seal"]["index"] == end, "leaves of the seal"
    yield seal["acceptedAt"] == link["acceptedAt"], "time"
    yield seal["inputFrom"] <= link["inputOffset"] < seal["inputTo"], "input of the seal"


def hashes(proof):
    given, link, header = proof.given, proof.link, proof.header
    yield in_batch(given["path"], header["count"], link["position"], link["event"], header["root"]), "path in the batch"
    yield proof.producer.verifies(pae("batch", given["header"]), given["signature"]), "signature of the producer"
    yield included(proof.path, proof.size, proof.index, leaf_hash(given["leaf"]), proof.root), "path of the leaf"
    seal = given["seal"]
    yield seal is None or included(seal["path"], proof.size, seal["index"], leaf_hash(seal["leaf"]), proof.root), "path of the seal"


def chain_of(proof):
    chain = Chain()
    for data in proof.given["policies"]:
        policy = Policy(*envelope(data, "policy")[:1])
        if policy.origin != proof.origin or proof.shard >= policy.shards:
            fail("policy of another log")
        chain.add(policy, envelope(data, "policy")[1])
    return chain


def check_note(proof, chain, pinned, policy):
    """By the pinned log keys alone, where there are any and no root is pinned; else by those of the newest policy."""
    own = [key for key in pinned if key.name == proof.log]
    holders = [holder for holder in chain.newest.logs if holder.key.name == proof.log] if chain.newest else []
    rooted = chain.newest is not None and chain.signed_by(pinned)
    if own and not rooted:
        texts = {key.text: key for key in own}
        holders = [holder for holder in holders if holder.key.text in texts]
        keys = own
    else:
        keys = [holder.key for holder in holders]
    if not keys:
        return rooted, bool(own)
    signed = signers(proof.claims, proof.text.encode("utf-8"), keys)
    if not signed:
        fail("no log key signed the note")
    stolen = {holder.key.text: holder.believed[proof.shard] for holder in holders if holder.status == "COMPROMISED"}
    if all(proof.size > stolen.get(key.text, proof.size) for key in signed):
        fail("note is signed by a compromised key")
    retired = {holder.key.text for holder in policy.logs if holder.status == "RETIRED"} if policy else set()
    if all(key.text in retired for key in signed):
        fail("note is signed by a retired key")
    return rooted, bool(own)


def check_policy(proof, chain, policy):
    """The version that the seal names allowed all of it."""
    given, seal = proof.given, proof.seal
    if seal is None or chain.newest is None:
        return
    if policy is None:
        fail("policy of the seal is missing")
    chainer = policy.chainer(seal["chainer"], given["seal"]["keyId"])
    if chainer is None or chainer.status != "ACTIVE" or not chainer.key.verifies(pae("block", given["seal"]["leaf"]), given["seal"]["signature"]):
        fail("seal")
    now = chain.newest.chainer(seal["chainer"], given["seal"]["keyId"])
    if now is not None and now.suspect(proof.shard, given["seal"]["index"]):
        fail("chainer is compromised")
    log = Log(proof.origin, proof.shard, policy.shards, {proof.schema_digest: proof.schema})
    batch = {name: given[name] for name in ("header", "keyId", "signature")}
    reason, _ = judge_header(batch, policy, log)
    if reason == 0:
        reason, _ = judge_event(given["event"], proof.header, given["keyId"], policy, log)
    if reason != 0:
        fail(f"had to be rejected for {reason}")


def judge_witnesses(proof, chain, rooted, readers):
    """Whether a quorum cosigned the note: of the reader's policies, or else of the newest policy in the file."""
    own = [policy.witnesses for policy in chain.versions if policy.witnesses] if rooted else []
    good, wrong = cosigners(proof.text, proof.claims, known_keys([*readers, *own]))
    if wrong:
        fail("cosignature is wrong")
    if readers:
        demanding = [policy for policy in for_log(readers, proof.log) if policy.quorum != "none"]
        all(policy.holds(good) for policy in demanding) or fail("no quorum of the reader's witnesses")
        return bool(demanding)
    newest = chain.newest.witnesses if chain.newest and rooted else None
    return newest is not None and newest.quorum != "none" and newest.holds(good)


def check(data, pinned, readers=()):
    """FAILED, NOT CHECKED, UNPROVEN or OK; and who vouches for log, signatures and policy."""
    try:
        proof = Proof(data)
        for holds, words in [*contradictions(proof), *hashes(proof)]:
            holds or fail(words)
        chain = chain_of(proof)
        policy = chain.by_digest.get(proof.seal["policy"]) if proof.seal else None
        rooted, logged = check_note(proof, chain, pinned, policy)
        check_policy(proof, chain, policy)
        witnessed = judge_witnesses(proof, chain, rooted, readers)
        holder = chain.newest.producer(proof.header["producer"], proof.given["keyId"]) if chain.newest else None
        if holder is not None and holder.suspect(proof.shard, proof.index):
            fail("producer is compromised")
        signed = any(key.text == proof.producer.text for key in pinned)
        if pinned and not (rooted or logged or signed):
            fail("no pinned key has a part in it")
    except (Wrong, KeyError, TypeError, ValueError) as error:
        return {"word": "FAILED", "LOG": None, "SIGNATURES": None, "POLICY": None, "WITNESSES": None, "why": repr(error)}
    sealed = rooted and proof.seal is not None
    proven = {"LOG": rooted or logged, "SIGNATURES": sealed or signed, "POLICY": sealed}
    results = {name: "OK" if each else "NOT CHECKED" for name, each in proven.items()}
    # A root key proves all three, or the proof is not OK: without the seal, another signer's batch can be put around a true event.
    results["WITNESSES"] = "OK" if witnessed else "NOT CHECKED"
    word = "NOT CHECKED" if rooted and not all(proven.values()) else "OK" if proven["LOG"] else "UNPROVEN"
    return {"word": word, **results, "why": ""}


def main(arguments):
    if arguments == ["--many"]:
        for line in sys.stdin:
            given = json.loads(line)
            readers = [WitnessPolicy(text) for text in given.get("witnesses", [])]
            print(json.dumps(check(base64.b64decode(given["proof"]), [Key(text) for text in given["keys"]], readers)), flush=True)
        return 0
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    with open(arguments[0], "rb") as file:
        verdict = check(file.read(), [Key(text) for text in arguments[1:]])
    print(json.dumps(verdict))
    return {"OK": 0, "FAILED": 1, "NOT CHECKED": 3, "UNPROVEN": 4}[verdict["word"]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

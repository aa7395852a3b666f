"""Witness policies, quorums and cosignatures (docs/formats.md §4)."""
import re

from keys import Key
from strict_avro import Wrong

MAX_WITNESSES = 32
URL = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~%!$&'()*+,;=:/-]*)?")


class WitnessPolicy:
    """A tlog-policy file."""

    def __init__(self, text):
        if len(text.encode("utf-8")) > 1_048_576:
            raise Wrong("witness policy is too large")
        if any((sign < " " and sign not in "\t\n") or sign == "\x7f" for sign in text) or not text.endswith("\n"):
            raise Wrong("signs of a witness policy")
        self.logs, self.witnesses, self.groups, self.quorum = [], [], [], None
        self.names, self.members = {"none"}, set()
        for line in text[:-1].split("\n"):
            words = [word for word in re.split("[ \t]+", line) if word]
            if words and not words[0].startswith("#"):
                self._line(words[0], words[1:])
        if self.quorum is None:
            raise Wrong("witness policy without quorum")

    def _line(self, word, words):
        if word == "log":
            self.logs.append(self._party(words, (1, 6), [key for key, _ in self.logs]))
        elif word == "witness":
            name = self._define(words)
            self.witnesses.append((name, *self._party(words[1:], (4, 6), self.keys())))
            self.names.add(name)
        elif word == "group":
            self._group(words)
        elif word == "quorum":
            if self.quorum is not None or len(words) != 1 or words[0] not in self.names:
                raise Wrong("quorum line")
            self.quorum = words[0]
        else:
            raise Wrong("word of a witness policy")

    def _party(self, words, types, others):
        if not 1 <= len(words) <= 2:
            raise Wrong("words of a log or witness")
        key = Key(words[0])
        if key.type not in types or any(key.public == other.public for other in others):
            raise Wrong("key of a log or witness")
        return key, words[1] if len(words) == 2 else None

    def _define(self, words):
        if not words or words[0] in self.names:
            raise Wrong("name in a witness policy")
        return words[0]

    def _group(self, words):
        name = self._define(words)
        members = words[2:]
        for member in members:
            if member == "none" or member not in self.names or member in self.members:
                raise Wrong("member of a group")
            self.members.add(member)
        count = words[1] if len(words) > 1 else ""
        if count == "any":
            least = 1
        elif count == "all":
            least = len(members)
        else:
            least = int(count) if re.fullmatch("[1-9][0-9]{0,5}", count) else 0
        if not 1 <= least <= len(members):
            raise Wrong("threshold of a group")
        self.groups.append((name, least, members))
        self.names.add(name)

    def keys(self):
        return [key for _, key, _ in self.witnesses]

    def holds(self, signed):
        """Whether the witnesses with these keys (texts) are a quorum."""
        if self.quorum == "none":
            return True
        seen = {name for name, key, _ in self.witnesses if key.text in signed}
        for name, least, members in self.groups:
            if sum(member in seen for member in members) >= least:
                seen.add(name)
        return self.quorum in seen

    def spelled(self):
        lines = [f"log {key.text}" + (f" {url}" if url else "") for key, url in self.logs]
        lines += [f"witness {name} {key.text}" + (f" {url}" if url else "") for name, key, url in self.witnesses]
        lines += [f"group {name} {least} {' '.join(members)}" for name, least, members in self.groups]
        return "".join(f"{line}\n" for line in [*lines, f"quorum {self.quorum}"])


def of_policy(text):
    """What a policy (§6) says of witnesses: in one spelling, without logs."""
    policy = WitnessPolicy(text)
    if policy.spelled() != text or policy.logs:
        raise Wrong("policy: spelling of the witnesses")
    if any(key.type != 4 for key in policy.keys()):
        raise Wrong("policy: type of a witness key")
    if max(len(policy.witnesses), len(policy.groups)) > MAX_WITNESSES:
        raise Wrong("policy: too many witnesses")
    if any(url is not None and not URL.fullmatch(url) for _, _, url in policy.witnesses):
        raise Wrong("policy: address of a witness")
    return policy


def cosigners(text, claims, keys):
    """Texts of the keys whose cosignature holds, and those of which one does not."""
    good, wrong = set(), []
    for key in keys:
        own = [signature for label, signature in claims if label == key.label]
        if len(own) == 1 and key.cosigned_at(text, own[0]) is not None:
            good.add(key.text)
        elif own:
            wrong.append(key.label)
    return good, wrong


def for_log(readers, log):
    return [policy for policy in readers if not policy.logs or any(key.name == log for key, _ in policy.logs)]


def known_keys(policies):
    """Every witness key of these, once."""
    return list({key.text: key for policy in policies for key in policy.keys()}.values())


class ShardWitnesses:
    """What the cosignatures of a shard's notes show: `notes` are (path, size, root, text, claims), `policy_at` gives the policy in force at a size."""

    def __init__(self, log, notes, tree, readers, own_keys, policy_at, report):
        self.report = report
        self.log = log
        self.seen = {}
        for path, size, root, text, claims in notes:
            good, wrong = cosigners(text, claims, known_keys(readers) + own_keys)
            for label in wrong:
                report.failed("WITNESSES", "cosignature is wrong", f"{path} {label}")
            if size < len(tree.roots) and tree.roots[size] == root:
                self.seen.setdefault(size, set()).update(good)
        self.policy_at = policy_at

    def judge_readers(self, readers, shown):
        mine = for_log(readers, self.log)
        if readers and not mine:
            self.report.unchecked("WITNESSES", "no given witness policy is for this log", self.log)
        for policy in mine:
            if policy.quorum == "none":
                continue
            self.report.witnessed = True
            quorums = [size for size, good in self.seen.items() if policy.holds(good & {key.text for key in policy.keys()})]
            if not quorums:
                self.report.failed("WITNESSES", "no note has the reader's quorum", self.log)
            elif max(quorums) < shown:
                self.report.open("WITNESSES", "newest leaves have no quorum", self.log)

    def judge_own(self, shown, published, newest):
        demanded = {size: self.policy_at(size) for size in self.seen}
        demanded = {size: policy for size, policy in demanded.items() if policy and policy.witnesses and policy.witnesses.quorum != "none"}
        by_newest = newest.witnesses is not None and newest.witnesses.quorum != "none"
        if not by_newest and (not demanded or max(demanded) < max(self.seen)):
            return
        self.report.witnessed = True
        quorums = [size for size, policy in demanded.items() if policy.witnesses.holds(self.seen[size])]
        if published in demanded and demanded[published].json["witnessing"]["required"] and published not in quorums:
            self.report.failed("WITNESSES", "published note has no quorum", self.log)
        if not quorums or max(quorums) < shown:
            self.report.open("WITNESSES", "newest leaves have no quorum", self.log)

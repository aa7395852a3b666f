"""Keys, signatures, notes, checkpoints and envelopes (docs/formats.md §4)."""
import base64
import binascii
import re
import unicodedata

import nacl.bindings
import nacl.exceptions

from canonical_json import parse
from hashing import H
from strict_avro import Wrong

ED25519 = 1
COSIGNATURE = 4
TYPES = {
    "manifest": "application/vnd.lineproof.manifest.v1+json",
    "retired": "application/vnd.lineproof.retired.v1+json",
    "snapshot": "application/vnd.lineproof.snapshot.v1+json",
    "policy": "application/vnd.lineproof.policy.v1+json",
    "batch": "application/vnd.lineproof.batch.v1+avro",
    "block": "application/vnd.lineproof.block.v1+avro",
}


def unbase64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Wrong("not base64") from error
    if base64.b64encode(data).decode("ascii") != text:
        raise Wrong("base64 is not canonical")
    return data


def check_name(name):
    if not 1 <= len(name.encode("utf-8")) <= 255:
        raise Wrong("length of a key name")
    for sign in name:
        if sign == "+" or sign.isspace() or unicodedata.category(sign) == "Cc":
            raise Wrong("sign in a key name")
    return name


class Key:
    """A verifier key."""

    def __init__(self, text):
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise Wrong("not a verifier key")
        self.text = text
        self.name = check_name(parts[0])
        raw = unbase64(parts[2])
        if len(raw) < 2:
            raise Wrong("verifier key without a key")
        self.type = raw[0]
        self.public = raw[1:]
        self.id = H(self.name.encode("utf-8") + b"\n" + raw)[:4]
        if parts[1] != self.id.hex():
            raise Wrong("id of a verifier key")
        if self.type in (1, 4) and len(self.public) != 32:
            raise Wrong("length of a public key")
        # Canonical, not of small order, and without torsion: libsodium calls such a point valid.
        if self.type in (1, 4) and not nacl.bindings.crypto_core_ed25519_is_valid_point(self.public):
            raise Wrong("public key is not a good point")
        self.label = f"{self.name}+{parts[1]}"

    def cosigned_at(self, text, signature):
        """The time, in seconds, of this witness's cosignature of a checkpoint; None where it does not hold or states no time."""
        time = int.from_bytes(signature[:8], "big")
        if self.type != COSIGNATURE or len(signature) != 72 or not 0 < time < 2**53:
            return None
        message = f"cosignature/v1\ntime {time}\n{text}".encode("utf-8")
        return time if self._holds(message, signature[8:]) else None

    def verifies(self, message, signature):
        """libsodium's rule is that of §4: S < L, no small orders, canonical A, no cofactor, R compared byte for byte."""
        return self.type == ED25519 and len(signature) == 64 and self._holds(message, signature)

    def _holds(self, message, signature):
        try:
            nacl.bindings.crypto_sign_open(signature + message, self.public)
            return True
        except nacl.exceptions.CryptoError:
            return False


def pae(kind, payload):
    name = TYPES[kind].encode("ascii")
    return b"DSSEv1 %d %s %d %s" % (len(name), name, len(payload), payload)


def envelope(data, kind):
    """Payload and claimed signatures, as (keyid, signature), of an envelope."""
    value = parse(data)
    if not isinstance(value, dict) or set(value) != {"payload", "payloadType", "signatures"}:
        raise Wrong("members of the envelope")
    if value["payloadType"] != TYPES[kind]:
        raise Wrong("type of the payload")
    if not isinstance(value["payload"], str) or not isinstance(value["signatures"], list):
        raise Wrong("members of the envelope")
    if len(value["signatures"]) > 100:
        raise Wrong("too many signatures")
    claims = []
    for each in value["signatures"]:
        if not isinstance(each, dict) or set(each) != {"keyid", "sig"}:
            raise Wrong("members of a signature")
        if not isinstance(each["keyid"], str) or not isinstance(each["sig"], str):
            raise Wrong("members of a signature")
        if not re.fullmatch(r"[^+]+\+[0-9a-f]{8}", each["keyid"]):
            raise Wrong("keyid")
        check_name(each["keyid"].split("+")[0])
        claims.append((each["keyid"], unbase64(each["sig"])))
    return unbase64(value["payload"]), claims


def signers(claims, message, keys):
    """Those of `keys` that signed. One wrong or doubled signature by any of them is refused."""
    found = []
    for key in keys:
        own = [signature for label, signature in claims if label == key.label]
        if len(own) > 1:
            raise Wrong("a key signed twice")
        for signature in own:
            if not key.verifies(message, signature):
                raise Wrong(f"signature by {key.label}")
            found.append(key)
    return found


def note(data):
    """Text and claimed signatures of a signed note."""
    if len(data) > 262_144:
        raise Wrong("note is too large")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Wrong("note is not UTF-8") from error
    if any(sign != "\n" and unicodedata.category(sign) == "Cc" for sign in whole):
        raise Wrong("control character in a note")
    at = whole.rfind("\n\n")
    if at < 0:
        raise Wrong("note without signatures")
    text, tail = whole[: at + 1], whole[at + 2 :]
    if not tail.endswith("\n"):
        raise Wrong("end of the note")
    claims = []
    for line in tail[:-1].split("\n"):
        match = re.fullmatch("— ([^ ]+) ([A-Za-z0-9+/=]+)", line)
        if not match:
            raise Wrong("line of a signature")
        raw = unbase64(match[2])
        if len(raw) < 5:
            raise Wrong("signature is too short")
        claims.append((f"{check_name(match[1])}+{raw[:4].hex()}", raw[4:]))
    if len(claims) > 100:
        raise Wrong("too many signatures")
    return text, claims


def checkpoint(text):
    """Origin, size and root."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] != "":
        raise Wrong("lines of a checkpoint")
    if not re.fullmatch("0|[1-9][0-9]{0,15}", lines[1]) or int(lines[1]) >= 2**53:
        raise Wrong("size of a checkpoint")
    root = unbase64(lines[2])
    if len(root) != 32:
        raise Wrong("root of a checkpoint")
    return check_name(lines[0]), int(lines[1]), root


def cbor(value):
    """The deterministic CBOR of whole numbers, bytes, text, None, lists and maps, in the order that they have."""
    def head(major, number):
        for size, more in ((0, 0), (1, 24), (2, 25), (4, 26), (8, 27)):
            if size == 0 and number < 24:
                return bytes([major << 5 | number])
            if size and number < 256**size:
                return bytes([major << 5 | more]) + number.to_bytes(size, "big")
    if value is None:
        return b"\xf6"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode("utf-8"))) + value.encode("utf-8")
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(cbor(each) for each in value)
    return head(5, len(value)) + b"".join(cbor(key) + cbor(each) for key, each in value.items())


def tree_head(data, key, size, root):
    """Whether `data` is the COSE signature of `key` over the root of so many leaves of the log that has its name."""
    label = key.label.encode("utf-8")
    protected = cbor({1: -8, 4: label, 15: {1: key.name, 2: f"{key.name}@{size}"}, 395: 1})
    signature = data[-64:]
    if data != b"\xd2" + cbor([protected, {}, None, signature]):
        return False
    return key.verifies(cbor(["Signature1", protected, b"", root]), signature)

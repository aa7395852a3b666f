"""Hashes of docs/formats.md: leaves, trees, events, identities, shards."""
import hashlib
import re
import struct


def H(data):
    return hashlib.sha256(data).digest()


def leaf_hash(leaf):
    return H(b"\x00" + leaf)


def tree_root(hashes, node=1):
    """RFC 6962 §2.1 over hashes of leaves; the batch tree has the node 3."""
    if not hashes:
        return H(b"")
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return H(bytes([node]) + tree_root(hashes[:split], node) + tree_root(hashes[split:], node))


class Tree:
    """A growing tree: `frontier` holds the roots of its complete subtrees, the largest first."""

    def __init__(self):
        self.size = 0
        self.frontier = []

    def add(self, hash_):
        self.frontier.append(hash_)
        self.size += 1
        rest = self.size
        while rest % 2 == 0:
            right, left = self.frontier.pop(), self.frontier.pop()
            self.frontier.append(H(b"\x01" + left + right))
            rest //= 2

    def root(self):
        if not self.frontier:
            return H(b"")
        root = self.frontier[-1]
        for left in reversed(self.frontier[:-1]):
            root = H(b"\x01" + left + root)
        return root


def event_digest(schema, event):
    return H(b"\x02" + schema + event)


def u16(number):
    return struct.pack(">H", number)


def u64(number):
    return struct.pack(">Q", number)


def sync_marker(origin, first, end, root):
    return H(b"lineproof segment" + u64(first) + u64(end) + root + origin.encode("utf-8"))[:16]


def murmur2(data):
    """As in Kafka's default partitioner."""
    mix, mask = 0x5BD1E995, 0xFFFFFFFF
    value = 0x9747B28C ^ len(data)
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        part = int.from_bytes(data[at : at + 4], "little")
        part = part * mix & mask
        part ^= part >> 24
        part = part * mix & mask
        value = value * mix & mask
        value ^= part
    rest = data[whole:]
    if rest:
        value ^= int.from_bytes(rest, "little")
        value = value * mix & mask
    value ^= value >> 13
    value = value * mix & mask
    value ^= value >> 15
    return value


def shard_of(stream, shards):
    """The shard of a stream; lineproof/<topic>/<shard> names it, where there is such a shard."""
    match = re.fullmatch("lineproof/[^/]+/(0|[1-9][0-9]{0,3})", stream)
    if match and int(match[1]) < shards:
        return int(match[1])
    return (murmur2(stream.encode("utf-8")) & 0x7FFFFFFF) % shards

"""The objects of an archive (docs/formats.md §5), and each shard's tree."""
import os
import re

from canonical_json import parse
from hashing import H, Tree, leaf_hash, tree_root
from keys import checkpoint, note, signers, tree_head
from strict_avro import Cursor, Schema, Wrong

NUMBER = "(?:0|[1-9][0-9]{0,15})"
RANGE = "[0-9]{20}-[0-9]{20}"
PLACES = [
    r"archive\.json",
    r"schemas/[0-9a-f]{64}\.avsc",
    r"policies/[0-9a-f]{64}\.json",
    rf"logs/{NUMBER}/(signed|checkpoint)",
    rf"logs/{NUMBER}/checkpoints/{NUMBER}(\.cose)?",
    rf"logs/{NUMBER}/tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/(x[0-9]{{3}}/)*[0-9]{{3}}(\.p/([1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5]))?",
    rf"logs/{NUMBER}/segments/{RANGE}\.[0-9a-f]{{16}}\.events\.avro",
    rf"logs/{NUMBER}/segments/{RANGE}\.(evidence\.avro|refused\.avro|manifest\.json|retired\.json)",
    rf"logs/{NUMBER}/snapshots/{NUMBER}\.(json|state)",
    rf"logs/{NUMBER}/cosignatures/{NUMBER}\.[0-9a-f]{{16}}",
    rf"logs/{NUMBER}/timestamps/{NUMBER}\.(note|[a-z0-9-]{{1,64}}\.(tsr|pem))",
]
LARGEST = 1 << 30
# Tiles of a level that are asked for: a note can claim 2^53 leaves.
MOST_MISSING = 1_000


class GivenObjects:
    """Objects in memory, by their names."""

    def __init__(self, contents):
        self.contents = contents
        self.names = set(contents)

    def read(self, name, most=LARGEST):
        if name not in self.names:
            raise Wrong("missing")
        if len(self.contents[name]) > most:
            raise Wrong("too large")
        return self.contents[name]

    def of(self, pattern):
        """Matches of the names that fit a pattern, sorted."""
        matches = [re.fullmatch(pattern, name) for name in sorted(self.names)]
        return [match for match in matches if match]


class Objects(GivenObjects):
    """Files of the folder, by their names relative to it."""

    def __init__(self, folder):
        self.folder = folder
        self.names = set()
        for path, _, files in os.walk(folder):
            for file in files:
                self.names.add(os.path.relpath(os.path.join(path, file), folder).replace(os.sep, "/"))

    def read(self, name, most=LARGEST):
        if name not in self.names:
            raise Wrong("missing")
        path = os.path.join(self.folder, name)
        if os.path.getsize(path) > most:
            raise Wrong("too large")
        with open(path, "rb") as file:
            return file.read()


def check_names(objects, shards, report):
    """Objects without a place in an archive are only noted."""
    for name in sorted(objects.names):
        report.count("objects")
        known = any(re.fullmatch(place, name) for place in PLACES)
        shard = re.match(r"logs/([^/]+)/", name)
        if known and shard and int(shard[1]) >= shards:
            known = False
        if known:
            continue
        report.note("ARCHIVE", "object has no place", name)


def check_contents(objects, policy, report):
    """archive.json: nothing depends on it, but it must not lie."""
    if "archive.json" not in objects.names:
        report.note("ARCHIVE", "table of contents is missing", "archive.json")
        return
    expected = {
        "origin": policy.origin,
        "shards": policy.shards,
        "roots": [key.text for key in policy.roots],
        "logs": [holder.key.text for holder in policy.logs],
    }
    try:
        if parse(objects.read("archive.json", 16 << 20)) != expected:
            raise Wrong("differs from the policy")
    except Wrong as error:
        report.failed("ARCHIVE", "table of contents", error)


def load_schemas(objects, report):
    """Event schemas by digest. Each is checked by its own name."""
    found = {}
    for match in objects.of(r"schemas/([0-9a-f]{64})\.avsc"):
        try:
            data = objects.read(match[0], 16 << 20)
            if H(data).hex() != match[1]:
                raise Wrong("its name is not its digest")
            parse(data)
            found[H(data)] = Schema(data.decode("utf-8"), negative=True)
        except (Wrong, KeyError, TypeError) as error:
            report.failed("ARCHIVE", "schema cannot be used", f"{match[0]}: {error!r}")
    return found


class SignedRoots:
    """Notes of one shard: which sizes and roots the log keys attest."""

    def __init__(self, objects, name, holders, shard, report):
        self.objects = objects
        self.name = name
        self.holders = [holder for holder in holders if holder.key.name == name]
        self.shard = shard
        self.report = report
        self.signed = []
        self.notes = []

    def read(self, path):
        """Size and root of a note, or None with a finding."""
        try:
            text, claims = note(self.objects.read(path, 262_144))
            origin, size, root = checkpoint(text)
        except Wrong as error:
            missing = str(error) in ("missing", "too large")
            self.report.failed("ARCHIVE" if missing else "LOG", "note cannot be read", f"{path}: {error}")
            return None
        try:
            if origin != self.name:
                raise Wrong("note of another log")
            self.signed.append((path, size, believed_signers(self.holders, claims, text.encode("utf-8"), self.shard, size)))
        except Wrong as error:
            self.report.failed("LOG", "note is not attested", f"{path}: {error}")
            return None
        self.notes.append((path, size, root, text, claims))
        return size, root

    def check_tree_head(self, path, size, root):
        """The COSE signature over the root that the note beside it states."""
        try:
            data = self.objects.read(path, 4096)
            labels = {holder.key.label for holder in self.holders if tree_head(data, holder.key, size, root)}
            if not labels:
                raise Wrong("no log key signed")
            if all(h.status == "COMPROMISED" and size > h.believed[self.shard] for h in self.holders if h.key.label in labels):
                raise Wrong("only a compromised log key signed")
            self.signed.append((path, size, labels))
        except Wrong as error:
            self.report.failed("ARCHIVE" if str(error) == "too large" else "LOG", "COSE signature", f"{path}: {error}")


def believed_signers(holders, claims, message, shard, size):
    """The keys that signed: a log key must have; a COMPROMISED one counts up to the size to which it is believed."""
    found = signers(claims, message, [holder.key for holder in holders])
    if not found:
        raise Wrong("no log key signed")
    labels = {key.label for key in found}
    for holder in holders:
        if holder.key.label in labels and not (holder.status == "COMPROMISED" and size > holder.believed[shard]):
            return labels
    raise Wrong("only a compromised log key signed")


def policy_at(size, blocks, chain):
    """The policy of the last block before `size`; version 1 before any."""
    named = [block.seal["policy"] for block in blocks if block.seal_index < size]
    return chain.by_digest.get(named[-1]) if named else chain.versions[0]


def out_of_use(labels, size, blocks, chain):
    """Whether the policy of the last block before `size`, or version 1 before any, calls all of these keys RETIRED."""
    policy = policy_at(size, blocks, chain)
    retired = {holder.key.label for holder in policy.logs if holder.status == "RETIRED"} if policy else set()
    return labels <= retired


def tile_name(number):
    """N in groups of three digits."""
    digits = str(number)
    digits = digits.zfill((len(digits) + 2) // 3 * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join(["x" + group for group in groups[:-1]] + [groups[-1]])


def tile_number(name):
    number = int(name.replace("x", "").replace("/", ""))
    return number if tile_name(number) == name else None


class ShardTree:
    """Leaves of a shard up to `size`, and the hashes of all levels that they give."""

    def __init__(self, objects, shard, report):
        self.objects = objects
        self.folder = f"logs/{shard}/tile/"
        self.report = report
        self.leaves = []
        self.hashes = []
        self.roots = [Tree().root()]
        self.levels = []
        self.faulty = False

    def load(self, size, heads):
        """Reads bundles until `size` leaves are there. Where leaves cannot be read, they end. `heads` are attested sizes and roots."""
        self.expected = size
        for number in range((size + 255) // 256):
            width = min(256, size - number * 256)
            if not self._bundle(number, width):
                break
        self.hashes = [leaf_hash(leaf) for leaf in self.leaves]
        self.roots = roots_of(self.hashes)
        if any(size < len(self.roots) and self.roots[size] != root for size, root in heads):
            self._believe_tiles(heads)
        self.levels = levels_of(self.hashes)

    def _believe_tiles(self, heads):
        """Where leaves do not give an attested root and the tiles do, the leaves are wrong: the tree is that of the tiles."""
        stored = []
        for number in range((len(self.leaves) + 255) // 256):
            width = min(256, len(self.leaves) - number * 256)
            full = f"{self.folder}0/{tile_name(number)}"
            path = full if full in self.objects.names else f"{full}.p/{width}"
            data = self.objects.read(path) if path in self.objects.names else b""
            stored += [data[at : at + 32] for at in range(0, min(width, len(data) // 32) * 32, 32)]
        roots = roots_of(stored)
        if len(stored) != len(self.hashes) or any(size < len(roots) and roots[size] != root for size, root in heads):
            return
        for index, (one, other) in enumerate(zip(self.hashes, stored)):
            if one != other:
                self.report.failed("LOG", "leaf has another hash than the tree", f"{self.folder} leaf {index}")
        self.hashes, self.roots = stored, roots

    def _bundle(self, number, width):
        full = f"{self.folder}entries/{tile_name(number)}"
        partial = f"{full}.p/{width}"
        path = partial if width < 256 and partial in self.objects.names else full
        if path not in self.objects.names:
            self.report.failed("ARCHIVE", "bundle is missing", partial if width < 256 else full)
            return False
        try:
            leaves = split_bundle(self.objects.read(path, 17 << 20))
            if len(leaves) != (width if path == partial else 256):
                raise Wrong("bundle holds another number of leaves than its name says")
        except Wrong as error:
            self.report.failed("LOG", "bundle cannot be read", f"{path}: {error}")
            return False
        self.leaves += leaves[:width]
        return True

    def check_tiles(self):
        """Each stored tile is what the leaves give; those of the published size are there."""
        for match in self.objects.of(re.escape(self.folder) + r"([^/]+)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]*))?"):
            self.report.count("tiles")
            level, number, width = match[1], tile_number(match[2]), int(match[3] or 256)
            if number is None:
                self.report.note("ARCHIVE", "object has no place", match[0])
            elif level == "entries":
                self._compare_bundle(match[0], number, width)
            else:
                self._compare_tile(match[0], int(level), number, width)
        for level in range(8):
            count = self.expected >> (8 * level)
            for number in range(min(MOST_MISSING, (count + 255) // 256)):
                self._needed(level, number, min(256, count - number * 256))

    def _needed(self, level, number, width):
        full = f"{self.folder}{level}/{tile_name(number)}"
        if full not in self.objects.names and f"{full}.p/{width}" not in self.objects.names:
            self.report.failed("ARCHIVE", "tile is missing", full if width == 256 else f"{full}.p/{width}")

    def _compare_bundle(self, path, number, width):
        end = number * 256 + width
        if end > self.expected:
            self.report.note("ARCHIVE", "beyond the checkpoint", path)
            return
        try:
            leaves = split_bundle(self.objects.read(path, 17 << 20))
        except Wrong as error:
            if end <= len(self.leaves):
                self.report.failed("LOG", "bundle cannot be read", f"{path}: {error}")
            return
        if end <= len(self.leaves) and leaves != self.leaves[number * 256 : end]:
            self.report.failed("LOG", "bundle differs", path)

    def _compare_tile(self, path, level, number, width):
        end = number * 256 + width
        if end > self.expected >> (8 * level):
            self.report.note("ARCHIVE", "beyond the checkpoint", path)
            return
        hashes = self.levels[level] if level < len(self.levels) else []
        if end > len(hashes):
            return
        if self.objects.read(path) != b"".join(hashes[number * 256 : end]):
            self.report.failed("LOG", "tile differs", path)


def roots_of(hashes):
    """Roots of the trees of 0, 1, 2 … leaves."""
    tree = Tree()
    roots = [tree.root()]
    for each in hashes:
        tree.add(each)
        roots.append(tree.root())
    return roots


def levels_of(hashes):
    """Hashes of the levels 0, 1, 2 … of tiles: each is the root of 256 of the one below."""
    levels = [hashes]
    while len(levels[-1]) >= 256:
        below = levels[-1]
        levels.append([tree_root(below[at : at + 256]) for at in range(0, len(below) // 256 * 256, 256)])
    return levels


def split_bundle(data):
    """Leaves of a bundle, each as u16 length and bytes."""
    cursor = Cursor(data)
    leaves = []
    while cursor.left() > 0:
        leaves.append(cursor.take(int.from_bytes(cursor.take(2), "big")))
    if not 1 <= len(leaves) <= 256:
        raise Wrong("number of leaves in a bundle")
    return leaves

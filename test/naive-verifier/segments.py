"""Segments: manifests, their files, and what retention removed (docs/formats.md §5)."""
import io
import json
import re

import fastavro

from archive import RANGE, believed_signers
from canonical_json import canonical, parse
from forms import MANIFEST, RETIRED
from hashing import H, sync_marker
from keys import envelope, pae
from strict_avro import SCHEMAS, Cursor, Wrong, container, schema

COLUMNS = "logIndex streamIndex acceptedAt producer epoch seq inputOffset position marks leafHash".split()
RECORDS = {"evidence": schema("block-evidence"), "refused": schema("block-refused")}


class Segment:
    """A manifest, and what its files hold by tree index."""

    def __init__(self, name, first, end, manifest, payload):
        self.name = name
        self.first = first
        self.end = end
        self.manifest = manifest
        self.payload = payload
        self.rows = {}
        self.evidence = {}
        self.refused = {}
        self.events_retired = False
        self.refused_retired = False
        self.files = {}
        self.blocks = []


class Segments:
    def __init__(self, objects, log, tree, chain, holders, report):
        self.objects = objects
        self.log = log
        self.tree = tree
        self.chain = chain
        self.holders = [holder for holder in holders if holder.key.name == log.name]
        self.report = report
        self.folder = f"logs/{log.shard}/segments/"
        self.list = []
        self.signed = []

    def load(self):
        """Manifests in order, each with its files."""
        listed, previous, end = set(), None, 0
        matches = self.objects.of(re.escape(self.folder) + rf"({RANGE})\.manifest\.json")
        manifests = [self._manifest(match[0], *[int(part) for part in match[1].split("-")]) for match in matches]
        self.until = max([0] + [segment.manifest["accepted"]["to"] for segment in manifests[-1:] if segment])
        for match, segment in zip(matches, manifests):
            listed.add(match[0])
            if segment is None:
                previous, end = "unknown", None
                continue
            if end is not None and segment.first < end:
                self.report.failed("ARCHIVE", "two manifests cover the same leaves", match[0])
            elif end is not None and segment.first > end:
                self.report.failed("ARCHIVE", "manifest is missing", f"{self.folder} from leaf {end}")
            elif previous != "unknown" and segment.manifest["previous"] != previous:
                self.report.failed("ARCHIVE", "manifest does not name the one before", match[0])
            previous, end = H(segment.payload).hex(), segment.end
            listed |= self._files(segment)
            self.list.append(segment)
            self.report.count("segments")
        for match in self.objects.of(re.escape(self.folder) + ".*"):
            if match[0] not in listed:
                self._unlisted(match[0], end)
        return self.list

    def _unlisted(self, name, end):
        first = re.match(r"[0-9]{20}", name[len(self.folder) :])
        if end is not None and first and int(first[0]) >= end and not name.endswith("retired.json"):
            self.report.note("ARCHIVE", "beyond the manifests", name)
        else:
            self.report.note("ARCHIVE", "no manifest lists the object", name)

    def _signed(self, name, kind, size):
        """The payload, and what is wrong with its signatures."""
        payload, claims = envelope(self.objects.read(name, 64 << 20), kind)
        try:
            self.signed.append((name, size, believed_signers(self.holders, claims, pae(kind, payload), self.log.shard, size)))
        except Wrong as error:
            return payload, error
        return payload, None

    def _manifest(self, name, first, end):
        try:
            payload, unsigned = self._signed(name, "manifest", end)
            value = parse(payload)
            MANIFEST(value)
            if value["origin"] != self.log.name or value["first"] != first or value["end"] != end or first >= end:
                raise Wrong("the manifest is of another segment")
        except Wrong as error:
            self.report.failed("ARCHIVE", "manifest cannot be used", f"{name}: {error}")
            return None
        if unsigned is not None:
            self.report.failed("ARCHIVE", "signature of a manifest", f"{name}: {unsigned}")
        if end > self.tree.expected:
            self.report.note("ARCHIVE", "beyond the checkpoint", name)
        elif end < len(self.tree.roots) and value["root"] != self.tree.roots[end].hex():
            self.report.failed("LOG", "root of a manifest", name)
        return Segment(name, first, end, value, payload)

    def _files(self, segment):
        """Reads the listed files. Gives the names of all that belongs to the segment."""
        retired, names = self._retired(segment)
        stem = f"{segment.first:020d}-{segment.end:020d}."
        for entry in segment.manifest["objects"]:
            path = self.folder + str(entry["name"])
            names.add(path)
            segment.files[entry["name"]] = entry
            kind = entry["name"][len(stem) :].split(".")[-2] if entry["name"].startswith(stem) else ""
            if kind not in ("events", "evidence", "refused"):
                self.report.failed("ARCHIVE", "manifest lists another file", path)
                continue
            if entry in retired and path not in self.objects.names:
                if kind == "events":
                    segment.events_retired = True
                if kind == "refused":
                    segment.refused_retired = True
                continue
            try:
                self._file(segment, kind, path, entry)
            except Wrong as error:
                self.report.failed("ARCHIVE", "file of a segment", f"{path}: {error}")
        return names

    def _file(self, segment, kind, path, entry):
        data = self.objects.read(path)
        if len(data) != entry["size"] or H(data).hex() != entry["sha256"]:
            self.report.failed("ARCHIVE", "size or SHA-256 of a file", path)
        text, sync, blocks, fault = container(data)
        if H(b"".join(block for _, block in blocks)).hex() != entry["content"]:
            self.report.failed("ARCHIVE", "content of a file", path)
        if segment.end < len(self.tree.roots):
            if sync != sync_marker(self.log.name, segment.first, segment.end, self.tree.roots[segment.end]):
                self.report.failed("ARCHIVE", "sync marker of a file", path)
        if kind == "events":
            self._rows(segment, path, text, blocks)
        else:
            self._records(segment, kind, text, blocks)
        if fault is not None:
            raise fault
        self._oracle(path, data, sum(count for count, _ in blocks))

    def _oracle(self, path, data, count):
        """A general reader must find as many records."""
        try:
            found = sum(1 for _ in fastavro.reader(io.BytesIO(data)))
        except Exception as error:  # a library may raise anything
            raise Wrong(f"fastavro cannot read it: {error!r}") from error
        if found != count:
            raise Wrong("fastavro reads another number of records")

    def _rows(self, segment, path, text, blocks):
        """Rows of an events file: columns, and the bytes of the event behind them."""
        digest = path.split(".")[-3]
        found = [each for each in self.log.schemas if each.hex().startswith(digest)]
        if len(found) != 1 or text != archived_schema(self.log.schemas[found[0]].json):
            raise Wrong("schema of the file")
        reader, last = schema("archived-event"), -1
        types = {field["name"]: field["type"] for field in reader.json["fields"]}
        event_schema = self.log.schemas[found[0]]
        for count, block in blocks:
            cursor = Cursor(block)
            for _ in range(count):
                row = {name: reader.read(cursor, types[name]) for name in COLUMNS}
                branch = cursor.int()
                start = cursor.at
                if branch not in (0, 1):
                    raise Wrong("branch of an event")
                if branch == 1:
                    event_schema.read(cursor, event_schema.json)
                row["event"] = block[start : cursor.at] if branch else None
                row["schema"] = found[0]
                if row["logIndex"] <= last or not segment.first <= row["logIndex"] < segment.end:
                    raise Wrong("order of the records")
                last = row["logIndex"]
                segment.rows[row["logIndex"]] = row
            if cursor.left():
                raise Wrong("bytes after the records")

    def _records(self, segment, kind, text, blocks):
        expected = canonical(json.loads((SCHEMAS / f"block-{kind}.avsc").read_text("utf-8")))
        if text != expected:
            raise Wrong("schema of the file")
        found, last = getattr(segment, kind), -1
        for count, block in blocks:
            cursor = Cursor(block)
            for _ in range(count):
                record = RECORDS[kind].read(cursor, RECORDS[kind].json)
                if record["sealIndex"] <= last or not segment.first <= record["sealIndex"] < segment.end:
                    raise Wrong("order of the records")
                last = record["sealIndex"]
                found[last] = record
            if cursor.left():
                raise Wrong("bytes after the records")

    def _retired(self, segment):
        """The files that a good statement says were removed, and the statement's own name."""
        name = segment.name.replace("manifest.json", "retired.json")
        if name not in self.objects.names:
            return [], {segment.name}
        try:
            payload, unsigned = self._signed(name, "retired", segment.end)
            if unsigned is not None:
                raise unsigned
            in_use = {holder.key.label for holder in self.holders if holder.status == "ACTIVE"}
            if not in_use & self.signed[-1][2]:
                raise Wrong("no key in use signed the statement")
            value = parse(payload)
            RETIRED(value)
            if value["origin"] != self.log.name or value["first"] != segment.first or value["end"] != segment.end:
                raise Wrong("statement about another segment")
            if value["manifest"] != H(segment.payload).hex():
                raise Wrong("statement about another manifest")
            self._allowed(segment, value)
            return value["objects"], {segment.name, name}
        except Wrong as error:
            self.report.failed("ARCHIVE", "statement of what was removed", f"{name}: {error}")
            return [], {segment.name, name}

    def _allowed(self, segment, value):
        """The policy that the statement names must allow what went, and the log must have gone on for as long as it had to be kept."""
        policy = self.chain.by_digest.get(bytes.fromhex(value["policy"]))
        if policy is None:
            raise Wrong("policy of the statement is missing")
        for entry in value["objects"]:
            if entry not in segment.manifest["objects"]:
                raise Wrong("statement names a file that the manifest does not list")
            limit = "eventsKeepMs" if entry["name"].endswith(".events.avro") else "refusedKeepMs"
            if entry["name"].endswith(".evidence.avro") or policy.json["retention"][limit] is None:
                raise Wrong("policy did not allow it")
            if self.until - segment.manifest["accepted"]["to"] < policy.json["retention"][limit] * 1000:
                raise Wrong("policy did not allow it so early")


def archived_schema(event_schema):
    """ArchivedEvent with an event schema inside, as canonical JSON."""
    whole = json.loads((SCHEMAS / "archived-event.avsc").read_text("utf-8"))
    whole["fields"][-1]["type"] = ["null", event_schema]
    return canonical(whole)

"""Avro as docs/formats.md §0 demands it: one encoding of each value, and nothing after it."""
import json
import pathlib
import zlib

MAX_LONG = 2**53 - 1
MOST_UNPACKED = 16 << 20
SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"


class Wrong(Exception):
    """The bytes are not what the formats demand."""


class Cursor:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, count):
        if count < 0 or self.at + count > len(self.data):
            raise Wrong("ends too early")
        part = self.data[self.at : self.at + count]
        self.at += count
        return part

    def left(self):
        return len(self.data) - self.at

    def varint(self, bits):
        value, shift = 0, 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift >= 70:
                raise Wrong("integer is too long")
        if shift > 0 and byte == 0:
            raise Wrong("integer is longer than it need be")
        number = (value >> 1) ^ -(value & 1)
        if bits == 32 and not -(2**31) <= number < 2**31:
            raise Wrong("int is out of range")
        if not -MAX_LONG <= number <= MAX_LONG:
            raise Wrong("long is out of range")
        return number

    def long(self):
        return self.varint(64)

    def int(self):
        return self.varint(32)

    def bytes(self):
        return self.take(self.long())


class Schema:
    """A schema with its named types. Only in events may numbers be negative."""

    def __init__(self, text, negative=False):
        self.negative = negative
        self.json = json.loads(text)
        self.named = {}
        self._collect(self.json)

    def _collect(self, type_):
        if isinstance(type_, list):
            for branch in type_:
                self._collect(branch)
        elif isinstance(type_, dict):
            if type_["type"] in ("record", "enum", "fixed"):
                self.named[type_["name"]] = type_
                self.named["lineproof.v1." + type_["name"]] = type_
            for field in type_.get("fields", []):
                self._collect(field["type"])
            if "items" in type_:
                self._collect(type_["items"])
            if isinstance(type_["type"], (dict, list)):
                self._collect(type_["type"])

    def decode(self, data):
        cursor = Cursor(data)
        value = self.read(cursor, self.json)
        if cursor.left() > 0:
            raise Wrong("bytes after the value")
        return value

    def read(self, cursor, type_):
        if isinstance(type_, list):
            return self._union(cursor, type_)
        if isinstance(type_, str):
            if type_ in self.named:
                return self.read(cursor, self.named[type_])
            value = primitive(cursor, type_)
            if type_ in ("int", "long") and value < 0 and not self.negative:
                raise Wrong("number is negative")
            return value
        kind = type_["type"]
        if kind == "record":
            value = {}
            for field in type_["fields"]:
                value[field["name"]] = self.read(cursor, field["type"])
            return value
        if kind == "enum":
            return type_["symbols"][index(cursor, len(type_["symbols"]))]
        if kind == "fixed":
            return cursor.take(type_["size"])
        if kind == "array":
            return self._array(cursor, type_["items"])
        return self.read(cursor, kind)

    def _union(self, cursor, branches):
        """The value of an optional; of another union, the name of its branch and the value."""
        branch = branches[index(cursor, len(branches))]
        value = self.read(cursor, branch)
        if branches[0] == "null":
            return value
        return branch["name"], value

    def _array(self, cursor, items):
        count = cursor.long()
        if count == 0:
            return []
        if count < 0 or count > cursor.left():
            raise Wrong("array with a block size, or with more items than bytes")
        values = [self.read(cursor, items) for _ in range(count)]
        if cursor.long() != 0:
            raise Wrong("array in more than one block")
        return values


def index(cursor, count):
    number = cursor.int()
    if not 0 <= number < count:
        raise Wrong("index of an enum or union is out of range")
    return number


def primitive(cursor, type_):
    if type_ == "null":
        return None
    if type_ == "boolean":
        byte = cursor.take(1)[0]
        if byte > 1:
            raise Wrong("boolean is neither 0 nor 1")
        return byte == 1
    if type_ == "int":
        return cursor.int()
    if type_ == "long":
        return cursor.long()
    if type_ == "bytes":
        return cursor.bytes()
    if type_ == "string":
        return utf8(cursor.bytes())
    raise Wrong(f"type {type_} is not used")


def utf8(data):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Wrong("text is not UTF-8") from error


def schema(name):
    """A released schema, from the folder schemas/."""
    return Schema((SCHEMAS / f"{name}.avsc").read_text("utf-8"))


def plain_map(cursor):
    """The metadata of a container: a map in the form that an array has."""
    found = {}
    count = cursor.long()
    if count < 0:
        raise Wrong("metadata with a block size")
    for _ in range(count):
        key = utf8(cursor.bytes())
        if key in found:
            raise Wrong("metadata twice")
        found[key] = cursor.bytes()
    if count > 0 and cursor.long() != 0:
        raise Wrong("metadata in more than one block")
    return found


def container(data):
    """Reads an object container file: schema text, sync marker, the decompressed blocks as (count, bytes) until the first
    that is wrong, and what is wrong with it."""
    cursor = Cursor(data)
    if cursor.take(4) != b"Obj\x01":
        raise Wrong("not an Avro container")
    meta = plain_map(cursor)
    if set(meta) != {"avro.codec", "avro.schema"} or meta["avro.codec"] != b"deflate":
        raise Wrong("metadata of the container")
    text = utf8(meta["avro.schema"])
    sync = cursor.take(16)
    blocks, fault = [], None
    try:
        while cursor.left() > 0:
            blocks.append(container_block(cursor, sync))
    except Wrong as error:
        fault = error
    return text, sync, blocks, fault


def container_block(cursor, sync):
    count = cursor.long()
    packed = cursor.bytes()
    unpack = zlib.decompressobj(-15)
    try:
        block = unpack.decompress(packed, MOST_UNPACKED)
    except zlib.error as error:
        raise Wrong("block cannot be decompressed") from error
    if not unpack.eof or unpack.unused_data:
        raise Wrong("compressed data does not end with its block")
    if cursor.take(16) != sync:
        raise Wrong("sync marker")
    if count < 1:
        raise Wrong("block without records")
    return count, block

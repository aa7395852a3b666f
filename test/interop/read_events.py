"""Reads an events file with fastavro, a reader that shares no code with Lineproof, and prints one JSON line per record."""
import datetime
import json
import sys

import fastavro


def plain(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    raise TypeError(type(value))


with open(sys.argv[1], "rb") as file:
    reader = fastavro.reader(file)
    assert reader.codec == "deflate", reader.codec
    for record in reader:
        print(json.dumps(record, default=plain))

"""Makes record-batches.json: record batches as librdkafka writes them, and as the Java code of a broker writes them when a topic names a compression.

    pip install confluent-kafka==2.16.1 && python make_batches.py HOST:PORT > record-batches.json
"""

import base64
import json
import socket
import struct
import sys
import uuid

from confluent_kafka import Producer, libversion
from confluent_kafka.admin import AdminClient, NewTopic

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def records():
    """Values that each codec packs in another way: repeated text, bytes without a pattern, an empty one and none."""
    noise, bytes_of_noise = 1, bytearray()
    for _ in range(600):
        noise = noise * 48271 % 0x7FFFFFFF
        bytes_of_noise.append(noise & 255)
    lines = [f"line {i} of a text that repeats itself".encode() for i in range(12)]
    values = [*lines, b"x" * 5000, bytes(bytes_of_noise), b"", None]
    return [{"key": f"key {i}".encode() if i % 3 else None, "value": value, "headers": [("n", str(i).encode()), ("n", b"last")][: i % 3]} for i, value in enumerate(values)]


def fetch(address, topic):
    """The records of partition 0 as they are stored: Fetch version 4."""
    host, port = address.split(":")
    name = topic.encode()
    body = struct.pack(">iiiibi", -1, 100, 1, 1 << 20, 0, 1) + struct.pack(">h", len(name)) + name + struct.pack(">iiqi", 1, 0, 0, 1 << 20)
    head = struct.pack(">hhih", 1, 4, 7, -1)
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(struct.pack(">i", len(head + body)) + head + body)
        size = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))[0]
        answer = connection.recv(size, socket.MSG_WAITALL)
    at = 4 + 4 + 4 + 2 + len(name) + 4 + 4 + 2 + 8 + 8
    aborted = struct.unpack_from(">i", answer, at)[0]
    at += 4 + 16 * max(0, aborted)
    return answer[at + 4 : at + 4 + struct.unpack_from(">i", answer, at)[0]]


def write(address, topic, compression, records):
    settings = {"bootstrap.servers": address, "compression.type": compression, "linger.ms": 500}
    # librdkafka keeps a batch uncompressed if that is not longer; at a large batch it never is.
    producer = Producer(settings)
    for record in records:
        producer.produce(topic, partition=0, key=record["key"], value=record["value"], headers=record["headers"] or None, timestamp=1_700_000_000_000)
    producer.flush()


def main():
    address = sys.argv[1]
    admin = AdminClient({"bootstrap.servers": address})
    given = records()
    batches = []
    for writer in ["librdkafka", "broker"]:
        for codec in CODECS[0 if writer == "librdkafka" else 1 :]:
            topic = f"fixture-{uuid.uuid4()}"
            config = {} if writer == "librdkafka" else {"compression.type": codec}
            for future in admin.create_topics([NewTopic(topic, 1, 1, config=config)]).values():
                future.result()
            write(address, topic, codec if writer == "librdkafka" else "none", given)
            batches.append({"writer": writer, "codec": codec, "batches": base64.b64encode(fetch(address, topic)).decode()})
    text = lambda data: None if data is None else data.decode("latin-1")
    shown = [{"key": text(r["key"]), "value": text(r["value"]), "headers": [[name, text(data)] for name, data in r["headers"]]} for r in given]
    source = f"make_batches.py with librdkafka {libversion()[0]} and Apache Kafka 4.1.2; text is Latin-1"
    print(json.dumps({"source": source, "timestampMs": 1_700_000_000_000, "records": shown, "written": batches}, indent=1))


main()

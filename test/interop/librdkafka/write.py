"""Writes to every topic of a cluster what librdkafka may legally write, and no reader of Lineproof can use.

Arguments: brokers, prefix of the topics, shards, seconds, megabytes of a bomb, the codec that packs 200,000 records or `all`. After each round, all of which was acknowledged or refused, a line of
JSON on stdout says how many records of each topic were acknowledged so far, and what the client or the broker refused. Another round begins until the
time is over. The transactions of the last round stay open.
"""

import json
import sys
import time
from collections import Counter

from confluent_kafka import KafkaException, Producer

BROKERS, PREFIX, SHARDS, SECONDS, BOMB_MB, MANY_BY = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]), sys.argv[6]
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
PARTITIONS = [(topic, shard) for topic in ("events", "chain", "rejected") for shard in range(SHARDS)] + [("control", 0)]
# What one batch may have, in bytes before compression: more records than any reader takes. A single record may have more.
BATCH_BYTES = 1_800_000
FLUSH_SECONDS = 120
OPEN_MS = 900_000

acknowledged = Counter()
refused = Counter()


def producer(codec, **more):
    return Producer(
        {
            "bootstrap.servers": BROKERS,
            "compression.codec": codec,
            # Batches end at a flush, not by time.
            "linger.ms": 90_000,
            "batch.num.messages": 1_000_000,
            "batch.size": BATCH_BYTES,
            "message.max.bytes": 1_000_000_000,
            "queue.buffering.max.messages": 2_000_000,
            "queue.buffering.max.kbytes": 2_000_000,
            "message.timeout.ms": 100_000,
            **more,
        }
    )


def told(topic):
    def tell(error, _):
        if error is None:
            acknowledged[topic] += 1
        else:
            refused[error.name()] += 1

    return tell


def send(client, place, records):
    topic, partition = place
    tell = told(topic)
    for record in records:
        while True:
            try:
                client.produce(f"{PREFIX}provenance.{topic}", partition=partition, on_delivery=tell, **record)
                break
            except BufferError:
                client.poll(1)
            except KafkaException as error:
                refused[error.args[0].name()] += 1
                break
        client.poll(0)


def kinds(codec, zeros):
    """Name and records of each kind that this codec can pack."""
    yield "small", [{"key": b"k", "value": b"junk %d" % i, "headers": [("traceparent", b"x"), ("a", None)]} for i in range(100)]
    yield "tombstones", [{"key": b"k", "value": None} for _ in range(10)]
    yield "empty", [{"value": b""} for _ in range(10_000)]
    if MANY_BY in ("all", codec):
        yield "many empty", [{"value": b""} for _ in range(200_000)]
    yield "headers", [{"value": b"v", "headers": [(str(i), b"") for i in range(10_000)]}]
    yield "too many headers", [{"value": b"v", "headers": [(str(i), None) for i in range(20_001)]}]
    yield "key", [{"key": bytes(1_000_000), "value": b"v"}]
    if codec in ("gzip", "zstd", "lz4"):
        yield "bomb", [{"value": zeros}]
    if codec == "snappy":
        yield "bomb", [{"value": zeros[:20_000_000]}]


def junk(word, place):
    return [{"key": None, "value": f"{word} {place} {i}".encode()} for i in range(5)]


def transactions(clients):
    ended, opened = clients
    ended.begin_transaction()
    for place in PARTITIONS:
        send(ended, place, junk("aborted", place))
    ended.flush(FLUSH_SECONDS)
    ended.abort_transaction()
    ended.begin_transaction()
    for place in PARTITIONS:
        send(ended, place, junk("committed", place))
    ended.commit_transaction()
    for place in PARTITIONS:
        send(opened, place, junk("open", place))
    opened.flush(FLUSH_SECONDS)


def transactional(name):
    client = producer("none", **{"transactional.id": f"{PREFIX}{name}", "transaction.timeout.ms": OPEN_MS})
    client.init_transactions(FLUSH_SECONDS)
    return client


def main():
    end = time.monotonic() + SECONDS
    zeros = bytes(BOMB_MB * 1_000_000)
    clients = {codec: producer(codec) for codec in CODECS}
    pair = (transactional("ended"), transactional("open"))
    pair[1].begin_transaction()
    rounds = 0
    while rounds == 0 or time.monotonic() < end:
        for codec, client in clients.items():
            for name, records in kinds(codec, zeros):
                for place in PARTITIONS:
                    send(client, place, records)
                    # One kind is one batch.
                    if client.flush(FLUSH_SECONDS) > 0:
                        raise SystemExit(f"not acknowledged: {name}, {codec}, {place}")
        transactions(pair)
        rounds += 1
        print(json.dumps({"rounds": rounds, "acknowledged": acknowledged, "refused": refused}), flush=True)


main()

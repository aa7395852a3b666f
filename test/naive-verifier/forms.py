"""The form of manifests and of statements about what was removed (docs/formats.md §5)."""
import re

from strict_avro import MAX_LONG, Wrong

COUNTS = "links seals duplicates conflicts repeated rejected empty sampledOut"


def whole(value):
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_LONG:
        raise Wrong(f"{value!r} is not a number from 0")


def time(value):
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_LONG:
        raise Wrong(f"{value!r} is not a time")


def text(value):
    if not isinstance(value, str):
        raise Wrong(f"{value!r} is not a text")


def digest(value):
    text(value)
    if not re.fullmatch("[0-9a-f]{64}", value):
        raise Wrong(f"{value!r} is not a digest")


def members(value, forms):
    """An object with exactly these members, each of its form."""
    if not isinstance(value, dict) or set(value) != set(forms):
        raise Wrong(f"members are not {' '.join(forms)}")
    for name, form in forms.items():
        form(value[name])


def record(**forms):
    return lambda value: members(value, forms)


def many(form):
    def check(value):
        if not isinstance(value, list):
            raise Wrong("not a list")
        for item in value:
            form(item)

    return check


def optional(form):
    return lambda value: None if value is None else form(value)


OBJECTS = many(record(name=text, size=whole, sha256=digest, content=digest))
TIMES = record(**{"from": time, "to": time})
NUMBERS = {name: whole for name in COUNTS.split()}

MANIFEST = record(
    origin=text,
    first=whole,
    end=whole,
    root=digest,
    objects=OBJECTS,
    counts=record(**NUMBERS, perProducer=many(record(producer=text, links=whole))),
    occurred=optional(TIMES),
    accepted=TIMES,
    schemas=many(digest),
    policies=many(digest),
    offsets=many(record(**{"generation": whole, "from": whole, "to": whole})),
    previous=optional(digest),
)
RETIRED = record(origin=text, first=whole, end=whole, manifest=digest, policy=digest, objects=OBJECTS)

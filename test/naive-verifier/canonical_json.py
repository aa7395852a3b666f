"""Canonical JSON (RFC 8785), at most 64 deep."""
import json

from strict_avro import Wrong

DEEPEST = 64


def canonical(value):
    """The one text of a value."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        if abs(value) > 2**53 - 1:
            raise Wrong("number is not exact")
        return str(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, str):
        return string(value)
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join(string(name) + ":" + canonical(value[name]) for name in names) + "}"


def string(text):
    text.encode("utf-8")  # refuses lone surrogates
    return json.dumps(text, ensure_ascii=False)


def number(value):
    """A fraction, as ECMAScript writes it. Whole numbers are integers here."""
    digits = repr(value)
    if value != value or value in (float("inf"), float("-inf")):
        raise Wrong("number is not finite")
    mantissa, _, exponent = digits.partition("e")
    if not exponent:
        if mantissa.endswith(".0"):
            raise Wrong("whole number with a fraction")
        return mantissa
    power = int(exponent)
    if mantissa.endswith(".0"):
        mantissa = mantissa[:-2]
    if -7 < power < 21:
        raise Wrong("number between two notations: not supported")
    return f"{mantissa}e{'+' if power > 0 else '-'}{abs(power)}"


def depth(value):
    if isinstance(value, dict):
        return 1 + max([depth(item) for item in value.values()], default=0)
    if isinstance(value, list):
        return 1 + max([depth(item) for item in value], default=0)
    return 0


def no_twins(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Wrong("member twice")
    return found


def parse(data):
    """The value of canonical JSON; any other form of it is refused."""
    try:
        text = data.decode("utf-8")
        value = json.loads(text, object_pairs_hook=no_twins)
        if depth(value) > DEEPEST:
            raise Wrong("nested too deep")
        if canonical(value) != text:
            raise Wrong("JSON is not canonical")
    except (ValueError, RecursionError) as error:
        raise Wrong(f"not JSON: {error}") from error
    return value

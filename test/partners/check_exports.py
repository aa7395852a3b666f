"""Checks COSE receipts and DSSE envelopes, each a line of JSON on standard input, by other people's libraries."""
import base64
import json
import sys

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from scitt_cose.receipt import verify_receipt


def public_key(verifier_key):
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(verifier_key.split("+", 2)[2])[1:])


def check_receipt(line):
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = public_key(line["key"]).public_bytes(serialization.Encoding.PEM, form)
    receipt = base64.b64decode(line["receipt"])
    result = verify_receipt(receipt, leaf_entry_hex=base64.b64decode(line["leaf"]).hex(), log_public_key_pem=pem)
    return {
        "ok": result.ok,
        "size": result.tree_size,
        "index": result.leaf_index,
        "issuer": result.issuer,
        "subject": result.subject,
        "kid": result.protected_header_ext.get(4, b"").decode("utf-8"),
        "canonical": cbor2.dumps(cbor2.loads(receipt), canonical=True) == receipt,
    }


def check_envelope(line):
    envelope = json.loads(base64.b64decode(line["envelope"]))
    kind, payload = envelope["payloadType"].encode("utf-8"), base64.b64decode(envelope["payload"])
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    (signature,) = envelope["signatures"]
    try:
        public_key(line["key"]).verify(base64.b64decode(signature["sig"]), signed)
        return {"ok": True, "keyid": signature["keyid"], "statement": json.loads(payload)}
    except InvalidSignature:
        return {"ok": False}


for text in sys.stdin:
    one = json.loads(text)
    print(json.dumps(check_receipt(one) if "receipt" in one else check_envelope(one)))

"""Verifies a time stamp by rfc3161-client: verify_stamp.py STAMP TEXT ROOT.pem BESIDE.pem. Prints OK, or why not."""
import sys
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificates
from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

stamp, text, root, beside = (Path(name).read_bytes() for name in sys.argv[1:5])
builder = VerifierBuilder()
for certificate in load_pem_x509_certificates(root):
    builder = builder.add_root_certificate(certificate)
for certificate in load_pem_x509_certificates(beside):
    builder = builder.add_intermediate_certificate(certificate)
try:
    builder.build().verify_message(decode_timestamp_response(stamp), text)
    print("OK")
except (VerificationError, ValueError) as error:
    print(f"refused: {error}")

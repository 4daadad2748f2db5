"""code_signature.py FILE: whether the ad-hoc signature of a Mach-O file (64 bits, little endian) is there and right: a code
directory that is marked ad-hoc, and whose hashes (SHA-256) are those of the pages of the file up to the signature."""

import hashlib
import struct
import sys
from pathlib import Path

LC_CODE_SIGNATURE = 0x1D
EMBEDDED_SIGNATURE = 0xFADE0CC0
CODE_DIRECTORY = 0xFADE0C02
ADHOC = 0x2

data = Path(sys.argv[1]).read_bytes()
magic, _, _, _, commands = struct.unpack_from("<IiiII", data)
assert magic == 0xFEEDFACF, "not a Mach-O file"
at, signature = 32, None
for _ in range(commands):
    command, size = struct.unpack_from("<II", data, at)
    if command == LC_CODE_SIGNATURE:
        signature, _ = struct.unpack_from("<II", data, at + 8)
    at += size
assert signature is not None, "it is not signed"

magic, _, count = struct.unpack_from(">III", data, signature)
assert magic == EMBEDDED_SIGNATURE
offsets = [struct.unpack_from(">II", data, signature + 12 + 8 * index)[1] for index in range(count)]
directory = next(
    signature + offset for offset in offsets if struct.unpack_from(">I", data, signature + offset)[0] == CODE_DIRECTORY
)
_, _, version, flags, hashes, _, _, pages, limit = struct.unpack_from(">9I", data, directory)
hash_size, hash_type, _, page_bits = struct.unpack_from(">4B", data, directory + 36)
assert flags & ADHOC and (hash_size, hash_type) == (32, 2), (flags, hash_size, hash_type)
assert limit == signature, f"it signs {limit} bytes of {signature}"
page = 1 << page_bits
assert pages == -(-limit // page)
for number in range(pages):
    expected = data[directory + hashes + 32 * number :][:32]
    found = hashlib.sha256(data[number * page : min((number + 1) * page, limit)]).digest()
    assert found == expected, f"page {number} is not what was signed"
print(f"{pages} pages are signed")

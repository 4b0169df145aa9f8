"""Writes safetensors.golden.json and tensorboard.golden.json: file bytes built by hand from the formats' specifications.

Run: python test/golden/files_golden.py   (needs nothing but Python 3)
Independent of the TypeScript code: own protobuf encoding, own CRC-32C (bit by bit), Python's struct for all numbers.
"""

import base64
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).parent


def b64(data):
    return base64.b64encode(data).decode()


def write(name, document):
    (HERE / name).write_text(json.dumps(document, indent=1) + "\n")


# --- safetensors -------------------------------------------------------------------------------------------------------


def safetensors(tensors, metadata=None, pad=8):
    """tensors: (name, dtype, shape, raw bytes) in file order; the header padded with spaces as the reference does."""
    header = {}
    if metadata:
        header["__metadata__"] = metadata
    at = 0
    for name, dtype, shape, raw in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(raw)]}
        at += len(raw)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % pad)
    return struct.pack("<Q", len(text)) + text + b"".join(raw for *_, raw in tensors)


def safetensors_document():
    written = [
        ("steps", "I64", [2], struct.pack("<2q", -1, 2**53 + 1)),
        ("b.double", "F64", [1, 2], struct.pack("<2d", 0.1, -1e300)),
        ("a.weight", "F32", [2, 3], struct.pack("<6f", 0.5, -1.25, 3.0, 1e-30, float("inf"), -0.0)),
        ("größe", "F32", [], struct.pack("<f", 7.0)),
        ("ints", "I32", [3], struct.pack("<3i", 1, -2, 2**31 - 1)),
        ("bytes", "U8", [5], bytes([0, 1, 2, 254, 255])),
        ("empty", "U8", [0, 4], b""),
        ("mask", "BOOL", [3], bytes([1, 0, 1])),
    ]
    halves = [0.0, -0.0, 1.0, -2.5, 65504.0, 6.103515625e-05, 5.960464477539063e-08, 0.333251953125, float("inf"), float("nan")]
    bfloats = [0x0000, 0x8000, 0x3F80, 0xC020, 0x7F7F, 0x0001, 0x7F80, 0x7FC0, 0x4049]
    read_only = [
        ("half", "F16", [len(halves)], struct.pack(f"<{len(halves)}e", *halves)),
        ("brain", "BF16", [3, 3], struct.pack("<9H", *bfloats)),
        ("odd", "U8", [1], b"\x09"),
        ("unaligned", "F32", [1], struct.pack("<f", 2.5)),
    ]
    brains = [struct.unpack("<f", struct.pack("<I", bits << 16))[0] for bits in bfloats]
    return {
        "written": b64(safetensors(written, {"format": "pt", "note": 'a "quoted" ü'})),
        "withoutMetadata": b64(safetensors(written[:1])),
        "none": b64(safetensors([])),
        "readOnly": b64(safetensors(read_only, pad=1)),
        "halves": [str(x) for x in halves],
        "brains": [str(x) for x in brains],
    }


# --- TensorBoard -------------------------------------------------------------------------------------------------------


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, wire, payload):
    return varint(number << 3 | wire) + payload


def delimited(number, payload):
    return field(number, 2, varint(len(payload)) + payload)


def record(data):
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def scalar_event(time, step, tag, value):
    summary_value = delimited(1, tag.encode()) + field(2, 5, struct.pack("<f", value))
    event = field(1, 1, struct.pack("<d", time))
    if step != 0:
        event += field(2, 0, varint(step))
    return event + delimited(5, delimited(1, summary_value))


def tensorboard_document():
    first = field(1, 1, struct.pack("<d", 1700000000.25)) + delimited(3, b"brain.Event:2")
    scalars = [
        ("loss/train", 0.6931471805599453, 0),
        ("loss/train", 0.25, 1),
        ("größe", -1e-3, 127),
        ("accuracy", 1.0, 128),
        ("a" * 300, float("inf"), 2**40 + 5),
    ]
    data = record(first)
    for i, (tag, value, step) in enumerate(scalars):
        data += record(scalar_event(1700000000.25 + 0.5 * (i + 1), step, tag, value))
    # RFC 3720, appendix B.4, and the usual check value.
    crcs = [(bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E), (b"123456789", 0xE3069283)]
    assert all(crc32c(data) == want for data, want in crcs)
    return {
        "scalars": [{"tag": t, "value": str(v), "step": s} for t, v, s in scalars],
        "file": b64(data),
        "crc32c": [{"data": b64(data), "crc": want} for data, want in crcs],
    }


write("safetensors.golden.json", safetensors_document())
write("tensorboard.golden.json", tensorboard_document())

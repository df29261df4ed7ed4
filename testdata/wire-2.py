#!/usr/bin/env python3
"""Prints wire-2.json: the worked examples of PROTOCOL.md, computed without any code of this project.

Needs Python's own hmac and hashlib, and the packages `blake3` and `cryptography` from PyPI:
    python3 testdata/wire-2.py > testdata/wire-2.json
"""
import base64, hashlib, hmac, json, struct
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PASSWORD = b"an example, not a password to use"
KEY = bytes(range(0x30, 0x50))
SIGNER = Ed25519PrivateKey.from_private_bytes(KEY).public_key().public_bytes_raw()
TRANSFER = blake3(SIGNER).digest()[:16]
NONCE = bytes(range(0x10, 0x20))
CHALLENGE = bytes(range(0x20, 0x30))
BLOCK = 4096


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def derive(label, context=b""):
    return mac(PASSWORD, label.encode() + b"\0" + context)


def b64(data):
    return base64.b64encode(data).decode()


def text(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


keys = {
    "header": derive("lantorrent 2 header"),
    "frame": derive("lantorrent 2 frame", TRANSFER),
    "line": derive("lantorrent 2 line", NONCE + CHALLENGE),
    "result": derive("lantorrent 2 result", TRANSFER),
    "node": derive("lantorrent 2 node", NONCE + CHALLENGE),
}
node_id = derive("lantorrent 2 node id", NONCE + CHALLENGE)[:8]
proof = derive("lantorrent 2 proof", NONCE + CHALLENGE)

header_values = {
    "wire": 2,
    "verb": "send",
    "transfer": TRANSFER.hex(),
    "signer": SIGNER.hex(),
    "nonce": NONCE.hex(),
    "expires": 1800000000,
    "to": "10.0.0.7:2893",
    "source": {"size": 12299, "mtime": 1700000000000000000, "id": "b7e1"},
    "host": "10.0.0.7",
    "port": 2893,
    "index": 0,
    "length": 12299,
    "degree": 1,
    "block_size": BLOCK,
    "requests": [{"filename": "/srv/img/a.img", "id": "a", "rename": True}],
    "destinations": [
        {"host": "node-8", "port": 2893, "index": 1,
         "requests": [{"filename": "/srv/img/a.img", "id": "b", "rename": True}]},
    ],
}


def signed(values):
    json_line = text(values) + "\n"
    return json_line + "EOH : " + b64(mac(keys["header"], json_line.encode())) + "\r\n"


header = signed(header_values)
# The same of a sender with two features, in a transfer that uses one of them. They stand before the node's own values.
place = list(header_values).index("host")
items = list(header_values.items())
header_with_features = signed(dict(
    items[:place] + [("features", ["later", "other"]), ("use", ["later"])] + items[place:]))

pattern = bytes(i % 251 for i in range(BLOCK))
short = b"LANTorrent\n"
size = BLOCK + 2 * BLOCK + len(short)
zero = bytes(BLOCK)
root = blake3(b"".join(blake3(block).digest() for block in (pattern, zero, zero, short))).digest()
signed_end = b"lantorrent 2 end\0" + TRANSFER + struct.pack(">QI", size, BLOCK) + root
signature = Ed25519PrivateKey.from_private_bytes(KEY).sign(signed_end)
frames = []


def frame(name, kind, offset, span, data=b"", flags=b"\0\0\0"):
    head = struct.pack(">B3sIQQ", kind, flags, len(data), offset, span)
    digest = blake3(data).digest()
    tag = blake3(head + digest, key=keys["frame"]).digest()
    frames.append({"name": name, "head": head.hex(), "data": data.hex(), "h": digest.hex(), "tag": tag.hex()})


frame("data", 1, 0, BLOCK, pattern)
frame("idle", 3, BLOCK, 0)
frame("hole", 2, BLOCK, 2 * BLOCK)
frame("last data", 1, 3 * BLOCK, len(short), short)
frame("end", 5, size, 0, root + signature)
frame("abort", 4, 0, 0, struct.pack(">H", 515) + "stopped by the operator".encode())
frame("hop-local extension", 0x80, 0, 0)
frame("forwarded extension", 0xC0, 7, 2**64 - 1, b"later", flags=b"\1\2\3")

result = text({
    "code": 0, "host": "10.0.0.7", "port": 2893, "file": "/srv/img/a.img", "id": "a", "message": "",
    "md5sum": "", "root": root.hex(), "index": 0, "by": 0,
})
# Of the node behind, which the source has not spoken with.
relayed = text({
    "code": 0, "host": "node-8", "port": 2893, "file": "/srv/img/a.img", "id": "b", "message": "",
    "md5sum": "", "root": root.hex(), "index": 1, "by": 1,
})
lines = []


def encoded(seq, kind, **values):
    body = text({"seq": seq, "line": kind, **values})
    return body + " " + b64(mac(keys["line"], body.encode())) + "\n"


def line(kind, **values):
    lines.append({"name": kind, "text": encoded(len(lines), kind, **values)})


line("challenge", challenge=CHALLENGE.hex())
line("accepted")
line("ready", offset=0)
line("alive")
line("progress", least=4096, greatest=12299, states={"receiving": 1, "done": 1},
     changed=[{"index": 1, "state": "done", "offset": 12299}])
line("result", result=result, tag=mac(keys["node"], result.encode()).hex(), key=node_id.hex())
line("left")
line("aside")
line("damaged", offset=12288)
line("later")
line("result", result=relayed, tag=mac(keys["result"], relayed.encode()).hex())

print(json.dumps({
    "about": "The worked examples of wire 2 in PROTOCOL.md. Made by wire-2.py beside this file.",
    "password": PASSWORD.decode(),
    "key": KEY.hex(),
    "signer": SIGNER.hex(),
    "transfer": TRANSFER.hex(),
    "nonce": NONCE.hex(),
    "challenge": CHALLENGE.hex(),
    "node_id": node_id.hex(),
    "keys": {name: key.hex() for name, key in keys.items()},
    "header": header,
    "proof": "PROOF : " + b64(proof) + "\n",
    "frames": frames,
    "root": root.hex(),
    "signed": signed_end.hex(),
    "signature": signature.hex(),
    "lines": lines,
    "growth": {
        "header": header_with_features,
        "accepted": encoded(1, "accepted", features=["later", "third"]),
    },
}, indent=1))

"""Makes the files beside it, as Event Hubs Capture would: with fastavro 1.13 (and cramjam for snappy), not with what reads them.

    python make.py
"""

import pathlib

import fastavro

HERE = pathlib.Path(__file__).parent
BODIES = HERE.parent / "contexts"

# The schema that Event Hubs Capture writes, from Microsoft's "Exploring captured Avro files in Azure Event Hubs"; the
# files of today have null among the values of Properties too.
SCHEMA = fastavro.parse_schema({
    "type": "record",
    "name": "EventData",
    "namespace": "Microsoft.ServiceBus.Messaging",
    "fields": [
        {"name": "SequenceNumber", "type": "long"},
        {"name": "Offset", "type": "string"},
        {"name": "EnqueuedTimeUtc", "type": "string"},
        {"name": "SystemProperties", "type": {"type": "map", "values": ["long", "double", "string", "bytes"]}},
        {"name": "Properties", "type": {"type": "map", "values": ["long", "double", "string", "bytes", "null"]}},
        {"name": "Body", "type": ["null", "bytes"]},
    ],
})


def event(number, time, body, properties=None, system=None):
    return {
        "SequenceNumber": number,
        "Offset": str(4295015048 + 400 * number),
        "EnqueuedTimeUtc": time,
        "SystemProperties": system or {},
        "Properties": properties or {},
        "Body": body,
    }


EVENTS = [
    event(
        7,
        "6/25/2026 3:47:29 PM",
        (BODIES / "a01-create-account.json").read_bytes(),
        {"ContentType": "application/json", "Retries": 2, "Share": 0.5, "Token": b"\x00\xff", "Nobody": None},
        {"x-opt-partition-key": "accounts"},
    ),
    event(8, "12/1/2026 12:00:05 AM", (BODIES / "a02-update-contact-images.xml").read_bytes(),
          {"ContentType": "application/xml"}),
    event(9, "12/1/2026 12:00:05 PM", (BODIES / "a03-delete.bin").read_bytes()),
    event(10, "12/1/2026 1:00:00 PM", b"no context"),
    event(11, "12/1/2026 1:00:01 PM", None),
]

for codec in ["null", "deflate", "snappy"]:
    with open(HERE / f"{codec}.avro", "wb") as file:
        # A block for each event.
        fastavro.writer(file, SCHEMA, EVENTS, codec=codec, sync_interval=1, sync_marker=b"capture of a hub")

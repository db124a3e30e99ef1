"""Checks of tests/otlp/run: what oteltap has received, as it prints it, and the events that the daemon has written.

    check.py NAME RECEIVED EVENTS COUNT
"""

import base64
import json
import pathlib
import sys

passed = failed = 0


def check(what, is_so, why=""):
    global passed, failed
    if is_so:
        passed += 1
        print(f"ok {name}: {what}")
    else:
        failed += 1
        print(f"FAIL {name}: {what}: {why}")


def attributes(one):
    return {a["key"]: next(iter(a.get("value", {"": None}).values())) for a in one.get("attributes", [])}


name, received, folder, count = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]), int(sys.argv[4])
documents = []
decoder = json.JSONDecoder()
for line in open(received, encoding="utf-8"):
    if line.startswith("{"):
        documents.append(decoder.decode(line))


def walk(node, key):
    """Every list under `key`, wherever it is."""
    if isinstance(node, dict):
        for member, value in node.items():
            if member == key:
                yield from value
            yield from walk(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value, key)


def unnested(kind, key):
    """The spans or metrics: oteltap prints either whole exports or one of them a line."""
    found = list(walk(documents, key))
    return found or [one for one in documents if kind in one]


spans = unnested("spanId", "spans")
metrics = unnested("unit", "metrics")
consumers = [one for one in spans if one["name"].startswith("process ")]
deliveries = [one for one in spans if one["name"] == "deliver files"]
check("every event has a span", len(consumers) == count, f"{len(consumers)} of {count}")
check("every delivery has one", len(deliveries) == count, f"{len(deliveries)} of {count}")
by_id = {one["spanId"]: one for one in consumers}
parents = [by_id.get(one["parentSpanId"]) for one in deliveries]
check("a delivery is a part of its event", all(parents) and len(set(one["parentSpanId"] for one in deliveries)) == count)
check(
    "an event is consumed",
    all(one["kind"] in ("SPAN_KIND_CONSUMER", 5) for one in consumers),
    {one["kind"] for one in consumers},
)
keys = {
    "messaging.system",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.destination.name",
    "messaging.destination.partition.id",
    "messaging.consumer.group.name",
    "messaging.eventhubs.message.enqueued_time",
    "messaging.message.body.size",
    "server.address",
    "dataverse_listener.sequence_number",
}
found = {frozenset(attributes(one)) for one in consumers}
check("it says what the conventions ask for, and nothing else", found == {frozenset(keys)}, found)


def identity(text, digits):
    """In hexadecimal digits, as OTLP's own JSON has it; Protobuf's JSON has base64."""
    return text.lower() if len(text) == digits else base64.b64decode(text).hex()


written = [json.loads(line) for path in folder.iterdir() for line in path.read_text().splitlines()]
named = {tuple(one["traceparent"].split("-")[1:3]) for one in written}
exported = {(identity(one["traceId"], 32), identity(one["spanId"], 16)) for one in deliveries}
check("the events that were written name these spans", named == exported, f"{len(named & exported)} of {count}")
names = {one["name"] for one in metrics}
check(
    "the measurements are there",
    names
    >= {
        "messaging.client.consumed.messages",
        "messaging.process.duration",
        "messaging.client.operation.duration",
        "dataverse_listener.partition.events_behind",
        "dataverse_listener.partition.time_behind",
    },
    names,
)
sys.exit(failed > 0)

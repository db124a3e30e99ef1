"""Reads the same partitions with Microsoft's SDK and with the daemon, with either engine, at the same time, while
events are posted, and compares what each has got of every event: partition, sequence number, offset, enqueued time,
body and application properties.

    beside.py PROGRAM; the hub is in EVENTHUB_CONNECTION_STRING.
"""

import base64
import datetime
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid

from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient

ROOT = pathlib.Path(__file__).resolve().parents[1] / "data" / "corpus" / "features"
ENGINES = ["own", "fe2o3"]
ROUNDS = 4
PATIENCE = 60  # seconds, for everything to arrive

# As the sender gives them, and as a message document has them.
PROPERTIES = [
    {},
    {"RequestName": "Create", "http://schemas.microsoft.com/xrm/2011/Claims/Organization": "org.crm4.dynamics.com"},
    {"small": 7, "large": 2**31 - 1, "negative": -5, "true": True, "false": False},
    {"real": 0.1, "bytes": b"\x00\xff", "uuid": uuid.UUID(int=7), "empty": "", "text": "\u00e4\u20ac\U0001f600"},
]


def bodies():
    """Contexts that Dataverse could have posted, and what is none: text, nothing, bytes that are no text."""
    files = sorted(ROOT.glob("a*.json")) + sorted(ROOT.glob("a*.xml"))
    contexts = [file.read_bytes() for file in files if ".expected" not in file.name]
    return [*contexts, b"no context", b"", b"\xff\x00\xfe", "\u00e4".encode()]


def post(connection):
    """Posts every body several times, in batches and alone, with and without a key; gives how many."""
    count = 0
    with EventHubProducerClient.from_connection_string(connection) as producer:
        for round in range(ROUNDS):
            for body in bodies():
                event = EventData(body)
                event.properties = PROPERTIES[count % len(PROPERTIES)]
                if count % 3 == 0:
                    batch = producer.create_batch(partition_key=f"key-{round}")
                    batch.add(event)
                    producer.send_batch(batch)
                else:
                    producer.send_event(event)
                count += 1
    return count


def plain(value):
    """A property as a message document has it."""
    if isinstance(value, bytes):
        # The SDK gives AMQP strings as bytes too: those that were sent as text are known by their text.
        return value.decode() if value != b"\x00\xff" else base64.b64encode(value).decode()
    return str(value) if isinstance(value, uuid.UUID) else value


class Sdk:
    """Everything that the SDK receives, from every partition."""

    def __init__(self, connection):
        self.events = []
        self.client = EventHubConsumerClient.from_connection_string(connection, "$Default")
        arguments = {"on_event": self.take, "starting_position": "-1"}
        threading.Thread(target=self.client.receive, kwargs=arguments, daemon=True).start()

    def take(self, partition, event):
        milliseconds = round(event.enqueued_time.timestamp() * 1000)
        self.events.append(
            {
                "partition": partition.partition_id,
                "sequence_number": event.sequence_number,
                "offset": event.offset,
                "enqueued_time": milliseconds,
                "partition_key": event.partition_key and event.partition_key.decode(),
                "body": b"".join(event.body),
                "properties": {plain(key): plain(value) for key, value in (event.properties or {}).items()},
            }
        )

    def stop(self):
        threading.Thread(target=self.client.close, daemon=True).start()


class Daemon:
    """The daemon, which writes messages into a file for each partition, and beside them the bodies as they came."""

    def __init__(self, program, connection, engine, folder):
        self.folder = folder
        sinks = "".join(
            f'[[sink]]\nname = "{name}"\ntype = "file"\nbody = "{name}"\ndirectory = "{folder}/{name}"\n'
            'path = "{partition}.ndjson"\n'
            for name in ("message", "original")
        )
        config = folder / "daemon.toml"
        config.write_text(f'[[hub]]\nconnection_string = "{connection}"\nengine = "{engine}"\n{sinks}')
        self.process = subprocess.Popen([program, "run", "--config", config], stderr=subprocess.DEVNULL)

    def lines(self, name):
        """The whole lines in the files of a sink, by the file."""
        files = sorted((self.folder / name).glob("*.ndjson"))
        return {file.stem: file.read_bytes().split(b"\n")[:-1] for file in files}

    def count(self, name):
        return sum(len(lines) for lines in self.lines(name).values())

    def events(self):
        bodies = self.lines("original")
        for partition, lines in self.lines("message").items():
            for line, body in zip(lines, bodies[partition], strict=True):
                message = json.loads(line)
                time = datetime.datetime.fromisoformat(message["enqueued_time"])
                assert message["partition"] == partition
                yield {
                    "partition": partition,
                    "sequence_number": message["sequence_number"],
                    "offset": message["offset"],
                    "enqueued_time": round(time.timestamp() * 1000),
                    "partition_key": message.get("partition_key"),
                    "body": original(body),
                    "properties": message.get("properties", {}),
                }

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


def original(line):
    """The body that a line of a sink with body = "original" stands for."""
    document = json.loads(line)
    if set(document) == {"original"}:
        return document["original"].encode()
    if set(document) == {"original_base64"}:
        return base64.b64decode(document["original_base64"])
    return line


def by_place(events):
    return sorted(events, key=lambda event: (event["partition"], event["sequence_number"]))


def check(name, holds):
    print("ok" if holds else "FAIL", f"beside: {name}", flush=True)


def difference(ours, theirs):
    """The first that is not the same, for whoever must find out why."""
    for one, other in zip(ours, theirs):
        if one != other:
            keys = [key for key in one if one[key] != other[key]]
            return f"{keys}: {[one[key] for key in keys]} is not {[other[key] for key in keys]}"
    return f"{len(ours)} are not {len(theirs)}"


def main(program, connection):
    with tempfile.TemporaryDirectory() as folder:
        daemons = {}
        try:
            for engine in ENGINES:
                place = pathlib.Path(folder) / engine
                place.mkdir()
                daemons[engine] = Daemon(program, connection, engine, place)
            sdk = Sdk(connection)
            count = post(connection)
            end = time.monotonic() + PATIENCE
            counts = lambda: [len(sdk.events), *(it.count("original") for it in daemons.values())]
            while min(counts()) < count and time.monotonic() < end:
                time.sleep(0.1)
            sdk.stop()
        finally:
            codes = [daemon.stop() for daemon in daemons.values()]
        check("both daemons end well", codes == [0] * len(codes))
        theirs = by_place(sdk.events)
        check(f"the SDK has every one of {count} events once", len(theirs) == count)
        partitions = {event["partition"] for event in theirs}
        check("all partitions have events", len(partitions) == 4)
        for engine, daemon in daemons.items():
            ours = by_place(daemon.events())
            check(f"the daemon has the same with the engine {engine}", ours == theirs)
            if ours != theirs:
                print(difference(ours, theirs), flush=True)


main(sys.argv[1], os.environ["EVENTHUB_CONNECTION_STRING"])
sys.stdout.flush()
# The client's threads may be within a time-out of theirs.
os._exit(0)

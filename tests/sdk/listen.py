"""Posts bodies of tests/data/corpus with Microsoft's SDK and compares what `listen` prints with
what `decode` prints of the files: each exactly once, in order per partition, the same context.

    listen.py PROGRAM; the hub is in EVENTHUB_CONNECTION_STRING.
"""

import json
import os
import pathlib
import subprocess
import sys

from azure.eventhub import EventData, EventHubProducerClient

ROOT = pathlib.Path(__file__).resolve().parents[1] / "data" / "corpus"
FOLDERS = ["features", "random", "public"]


def bodies():
    """Every body, those with a truth file and those that were published, in a fixed order."""
    files = [file for folder in FOLDERS for kind in ("json", "xml") for file in (ROOT / folder).glob(f"*.{kind}")]
    return sorted(str(file) for file in files if ".expected" not in file.name)


def post(connection, files):
    """Posts each file as Dataverse would: alone, with the properties that name it and its format."""
    with EventHubProducerClient.from_connection_string(connection) as producer:
        for file in files:
            body = pathlib.Path(file).read_bytes()
            event = EventData(body)
            kind = "application/json" if file.endswith(".json") else "application/xml"
            event.properties = {"ContentType": kind, "file": file}
            producer.send_event(event)


def lines(program, *arguments, **environment):
    """What the program prints, each line as JSON."""
    done = subprocess.run(
        [program, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        timeout=120,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(name, holds):
    print("ok" if holds else "FAIL", f"listen: {name}", flush=True)


def main(program, connection):
    files = bodies()
    post(connection, files)
    messages = lines(
        program,
        *["listen", "--from", "earliest", "--format", "json", "--events", str(len(files))],
        EVENTHUB_CONNECTION_STRING=connection,
    )
    documents = dict(zip(files, lines(program, "decode", *files)))
    check(f"all {len(files)} bodies are printed", len(messages) == len(files))
    seen = sorted(message["properties"]["file"] for message in messages)
    check("each body is printed exactly once", seen == files)
    partitions = {}
    for message in messages:
        partitions.setdefault(message["partition"], []).append(message["sequence_number"])
    in_order = all(numbers == list(range(len(numbers))) for numbers in partitions.values())
    check("the events of a partition are in order and without a gap", in_order and len(partitions) > 1)
    same = [m for m in messages if m.get("context") == documents[m["properties"]["file"]]]
    check("the context of each is what decode prints for the file", len(same) == len(files))


main(sys.argv[1], os.environ["EVENTHUB_CONNECTION_STRING"])

"""Checks of the embedded event hub with Microsoft's azure-eventhub, unmodified. The hub is in
EVENTHUB_CONNECTION_STRING."""

import datetime
import logging
import os
import re
import sys
import threading
import time

from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.exceptions import AuthenticationError, EventHubError

CONNECTION = os.environ["EVENTHUB_CONNECTION_STRING"]
HUB = re.search("EntityPath=([^;]*)", CONNECTION)[1]
PATIENCE = 15  # seconds, for anything that must happen
RETRIES = {"retry_total": 0}

logging.disable(logging.CRITICAL)  # the SDK logs the errors that are expected here
outcomes = []


def check(name, probe):
    try:
        probe()
    except Exception as error:
        outcomes.append(False)
        print(f"FAIL python: {name}: {type(error).__name__}: {str(error)[:300]}", flush=True)
    else:
        outcomes.append(True)
        print(f"ok python: {name}", flush=True)


def equal(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"timed out: {what}"
        time.sleep(0.02)


class Receiver:
    """Receives from one partition until it is stopped."""

    def __init__(self, partition, position, inclusive=False, connection=CONNECTION, **options):
        self.events, self.errors, self.last = [], [], None
        self.client = EventHubConsumerClient.from_connection_string(connection, "$Default", **RETRIES)
        arguments = dict(
            partition_id=partition, starting_position=position, starting_position_inclusive=inclusive,
            on_error=lambda _, error: self.errors.append(error), max_wait_time=0.2, **options)
        threading.Thread(target=self.run, args=(arguments,), daemon=True).start()

    def run(self, arguments):
        try:
            self.client.receive_batch(self.on_batch, **arguments)
        except Exception as error:
            self.errors.append(error)

    def on_batch(self, partition, events):
        self.events.extend(events)
        self.last = partition.last_enqueued_event_properties

    def take(self, count):
        wait_for(lambda: len(self.events) >= count or self.errors, f"{count} events")
        assert not self.errors, f"{self.errors[0]}"
        return self.events

    def fails(self, text):
        wait_for(lambda: self.errors, "an error")
        assert text in str(self.errors[0]), str(self.errors[0])

    def stop(self):
        threading.Thread(target=self.client.close, daemon=True).start()


def numbers(partition, position, count, inclusive=False):
    receiver = Receiver(partition, position, inclusive)
    try:
        return [event.sequence_number for event in receiver.take(count)]
    finally:
        receiver.stop()


producer = EventHubProducerClient.from_connection_string(CONNECTION, **RETRIES)


def end_of(partition):
    return producer.get_partition_properties(partition)["last_enqueued_sequence_number"]


def send(count, size=10, **where):
    batch = producer.create_batch(**where)
    for number in range(count):
        batch.add(EventData(f"{number:0{size}}"))
    producer.send_batch(batch)


def hub_properties():
    properties = producer.get_eventhub_properties()
    equal(properties["eventhub_name"], HUB)
    equal(properties["partition_ids"], ["0", "1", "2", "3"])
    assert properties["created_at"].year > 2000


def partition_properties():
    before = producer.get_partition_properties("3")
    send(3, partition_id="3")
    after = producer.get_partition_properties("3")
    equal(after["last_enqueued_sequence_number"], before["last_enqueued_sequence_number"] + 3)
    equal(after["is_empty"], False)
    assert int(after["last_enqueued_offset"]) > int(before["last_enqueued_offset"])


def batch_without_a_place():
    before = sum(end_of(str(id)) for id in range(4))
    send(5)
    equal(sum(end_of(str(id)) for id in range(4)), before + 5)


def batch_to_a_partition():
    before = end_of("1")
    send(100, partition_id="1")
    equal(end_of("1"), before + 100)


def batch_with_a_key():
    # alphabet hashes to -23478: the remainder by 4 is 2 however it is rounded.
    before = end_of("2")
    send(2, partition_key="alphabet")
    equal(end_of("2"), before + 2)
    receiver = Receiver("2", before, False)
    equal(receiver.take(2)[0].partition_key, b"alphabet")
    receiver.stop()


def single_event():
    before = end_of("1")
    event = EventData(b"single")
    event.properties = {"RequestName": "Create", "n": 7}
    event.content_type = "application/json"
    producer.send_event(event, partition_id="1")
    receiver = Receiver("1", before, False)
    got = receiver.take(1)[0]
    receiver.stop()
    equal(got.body_as_str(), "single")
    equal(got.properties, {b"RequestName": b"Create", b"n": 7})
    equal(got.content_type, "application/json")


def large_events():
    before = end_of("1")
    for _ in range(3):
        send(1, 900_000, partition_id="1")
    receiver = Receiver("1", before, False)
    equal([len(event.body_as_str()) for event in receiver.take(3)], [900_000] * 3)
    receiver.stop()


def too_large_event():
    try:
        producer.send_event(EventData("x" * 1_100_000), partition_id="1")
    except EventHubError as error:
        assert "size" in str(error).lower(), str(error)
    else:
        raise AssertionError("it was taken")


def positions():
    """Fills partition 0 with ten events, some time apart in the middle, and checks every position."""
    first = end_of("0") + 1
    send(5, partition_id="0")
    time.sleep(0.05)
    between = datetime.datetime.now(datetime.timezone.utc)
    time.sleep(0.05)
    send(5, partition_id="0")
    receiver = Receiver("0", "-1")
    events = receiver.take(first + 10)
    receiver.stop()
    numbered = [event.sequence_number for event in events]
    after = list(range(first, first + 10))
    third = events[first + 3]
    check("receive from earliest", lambda: equal(numbered, list(range(first + 10))))
    check("receive after an offset", lambda: equal(numbers("0", third.offset, 6), after[4:]))
    check("receive from an offset", lambda: equal(numbers("0", third.offset, 7, True), after[3:]))
    check("receive after a sequence number", lambda: equal(numbers("0", first + 3, 6), after[4:]))
    check("receive from a sequence number", lambda: equal(numbers("0", first + 3, 7, True), after[3:]))
    check("receive from an enqueued time", lambda: equal(numbers("0", between, 5), after[5:]))


def latest():
    end = end_of("0")
    receiver = Receiver("0", "@latest")
    deadline = time.monotonic() + PATIENCE
    while not receiver.events and time.monotonic() < deadline:
        send(1, partition_id="0")
        time.sleep(0.1)
    assert receiver.take(1)[0].sequence_number > end
    receiver.stop()


def position_above_the_end():
    receiver = Receiver("0", "9223372036854775807", True)
    receiver.fails("The supplied offset '9223372036854775807' is invalid")
    receiver.stop()


def last_enqueued():
    receiver = Receiver("1", "-1", track_last_enqueued_event_properties=True)
    receiver.take(1)
    wait_for(lambda: receiver.last, "the last event")
    equal(receiver.last["sequence_number"], end_of("1"))
    receiver.stop()


def higher_owner_level():
    old = Receiver("1", "-1", owner_level=0)
    old.take(1)
    new = Receiver("1", "-1", owner_level=1)
    new.take(1)
    old.fails("New receiver")
    lower = Receiver("1", "-1", owner_level=0)
    lower.fails("higher epoch")
    for receiver in (old, new, lower):
        receiver.stop()


def sixth_receiver():
    receivers = [Receiver("2", "-1") for _ in range(5)]
    for receiver in receivers:
        receiver.take(1)
    sixth = Receiver("2", "-1")
    sixth.fails("Exceeded the maximum number of allowed receivers")
    for receiver in [*receivers, sixth]:
        receiver.stop()


def raises(kind, connection, text):
    client = EventHubProducerClient.from_connection_string(connection, **RETRIES)
    try:
        client.get_eventhub_properties()
    except kind as error:
        assert text in str(error), str(error)
    else:
        raise AssertionError("no error")
    finally:
        client.close()


def wrong_key():
    wrong = re.sub("SharedAccessKey=[^;]*", "SharedAccessKey=wrong", CONNECTION)
    raises(AuthenticationError, wrong, "InvalidSignature")


def missing_hub():
    missing = CONNECTION.replace(f"EntityPath={HUB}", "EntityPath=missing")
    raises(EventHubError, missing, "404")
    receiver = Receiver("0", "-1", connection=missing)
    receiver.fails("404")
    receiver.stop()


check("hub properties", hub_properties)
check("partition properties", partition_properties)
check("send a batch without a place", batch_without_a_place)
check("send a batch to a partition", batch_to_a_partition)
check("send a batch with a key", batch_with_a_key)
check("send a single event", single_event)
check("send and receive 900 KB events", large_events)
check("an event above 1 MB is refused", too_large_event)
check("receive from every kind of position", positions)
check("receive from latest", latest)
check("a position above the end is refused", position_above_the_end)
check("track the last enqueued event", last_enqueued)
check("a higher owner level steals", higher_owner_level)
check("the sixth receiver is refused", sixth_receiver)
check("a wrong key is refused", wrong_key)
check("a missing hub is not found", missing_hub)
sys.stdout.flush()
# The clients' threads may be within a time-out of theirs.
os._exit(0 if all(outcomes) else 1)

"""Parses and verifies what the webhook sink sends with the CloudEvents SDK and the Standard Webhooks
library of Python: check.py PROGRAM. The hub is in EVENTHUB_CONNECTION_STRING.
"""

import base64
import json
import secrets
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.v1.http import from_http as from_http_v1
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

import world
from world import check, equal

COUNT = 120


def secret():
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


NEW, OLD, OTHER = secret(), secret(), secret()


def signed(settings=""):
    return f'{settings}\nsignature = {{ secret = "{NEW}", previous_secret = "{OLD}" }}'


def parsed(request):
    return from_http_event(HTTPMessage(headers=request.headers, body=request.body))


def attributes(event):
    """The attributes as texts: both modes must say the same. The SDK makes up a time where there is none, as of
    an event that could not be decoded."""
    found = {name: str(value) for name, value in event.get_attributes().items()}
    return {name: value for name, value in found.items() if value != "None"}


def data(event):
    """The data of an event; what is JSON as such."""
    value = event.get_data()
    kind = event.get_attributes().get("datacontenttype", "")
    return json.loads(value) if isinstance(value, (str, bytes)) and "json" in kind else value


def refuses(verify):
    try:
        verify()
    except WebhookVerificationError:
        return
    raise AssertionError("it was verified")


def in_order(requests, truth):
    """Each event once, those of a partition one after the other."""
    equal(sorted(request.place() for request in requests), sorted(truth))
    for partition in {request.place()[0] for request in requests}:
        numbers = [r.place()[1] for r in requests if r.place()[0] == partition]
        equal(numbers, sorted(numbers))


def cloud_events(requests, truth):
    """The events that are contexts; those that the SDK gives data of are compared with what is printed."""
    for request in requests:
        event, message = parsed(request), truth[request.place()]
        assert event.get_id() and event.get_source().startswith("/"), "id and source"
        if "context" in message:
            equal(data(event), message["context"])
            equal(event.get_dataschema(), "urn:dataverse-listener:context")
            assert event.get_type().startswith("com.microsoft.dataverse."), event.get_type()
        else:
            equal(event.get_data(), world.BROKEN_BODY)
            equal(event.get_type(), "dataverse-listener.undecodable")


def odd(requests):
    types = [parsed(r).get_type() for r in requests if "gr" in parsed(r).get_type()]
    equal(types, [f"com.microsoft.dataverse.{world.ODD}.update"])


def check_cloud_events(binary, structured, truth):
    for mode, requests in [("binary", binary), ("structured", structured)]:
        check(f"cloudevents {mode}: each event comes once, in order", lambda: in_order(requests, truth))
        check(f"cloudevents {mode}: data and attributes", lambda: cloud_events(requests, truth))
        check(f"cloudevents {mode}: a name with odd characters", lambda: odd(requests))
    contexts = [r for r in binary if "context" in truth[r.place()]]
    by_place = {request.place(): attributes(parsed(request)) for request in structured}
    check("cloudevents: both modes have the same attributes", lambda: [
        equal(attributes(parsed(request)), by_place[request.place()]) for request in contexts])
    check("cloudevents: the older interface of the SDK takes binary events too", lambda: [
        equal(from_http_v1(r.headers, r.body)["id"], r.headers["ce-id"]) for r in contexts])
    check("cloudevents: no two events have one source and id", lambda: equal(
        len({(r.headers["ce-source"], r.headers["ce-id"]) for r in binary}), len(binary)))


def check_signatures(name, requests, truth):
    check(f"standardwebhooks {name}: each event comes once, in order", lambda: in_order(requests, truth))
    for which, known in [("new", NEW), ("old", OLD)]:
        check(f"standardwebhooks {name}: the {which} secret verifies", lambda: [
            equal(Webhook(known).verify(r.body, r.headers), truth[r.place()]) for r in requests])

    def tampered():
        for request in requests:
            refuses(lambda: Webhook(OTHER).verify(request.body, request.headers))
            refuses(lambda: Webhook(NEW).verify(request.body + b" ", request.headers))
            for header, value in [("webhook-id", "x"), ("webhook-timestamp", None)]:
                changed = value or str(int(request.headers[header]) - 1)
                headers = {**request.headers, header: changed}
                refuses(lambda: Webhook(NEW).verify(request.body, headers))

    check(f"standardwebhooks {name}: what was changed is not verified", tampered)
    ids = {request.headers["webhook-id"] for request in requests}
    check(f"standardwebhooks {name}: an id for each event", lambda: equal(len(ids), len(requests)))


def main(program):
    count = world.post(program, COUNT)
    truth = world.messages(program, count)
    receiver = world.Receiver()
    sinks = [
        ("binary", 'mode = "cloudevents-binary"'),
        ("structured", 'mode = "cloudevents-structured"'),
        ("signed", signed()),
        ("gzip", signed("gzip = true")),
    ]
    tables = "".join(world.sink(name, receiver.port, settings) for name, settings in sinks)
    with world.daemon(program, tables):
        requests = {name: receiver.take(f"/{name}", count) for name, _ in sinks}
    check_cloud_events(requests["binary"], requests["structured"], truth)
    check_signatures("plain", requests["signed"], truth)
    check_signatures("gzip", requests["gzip"], truth)
    check("gzip: every body is compressed", lambda: [
        equal(r.headers["content-encoding"], "gzip") for r in requests["gzip"]])
    names = [{r.place(): r.headers["webhook-id"] for r in requests[n]} for n in ("signed", "gzip")]
    check("an event has the same id in every sink", lambda: equal(*names))


main(*sys.argv[1:])

"""Checks of tests/metrics/run, one a command: each prints "ok WHAT" or "FAIL WHAT: WHY".

    check.py openmetrics FILE               what the parser of Prometheus' client for Python makes of a text
    check.py fetch URL OPENMETRICS CLASSIC  asks the daemon for either format, into these files
    check.py scraped PROMETHEUS EVENTS      a server of Prometheus has scraped it, and these events are in it
    check.py dashboard PROMETHEUS FILE      the server takes every query of the dashboard
"""

import json
import re
import sys
import time
import urllib.parse
import urllib.request

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
CLASSIC = "text/plain; version=0.0.4; charset=utf-8"
# What Prometheus 2.42 sends.
ACCEPT = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PATIENCE = 60


def ok(what):
    print(f"ok {what}", flush=True)


def fail(what, why):
    print(f"FAIL {what}: {why}", flush=True)


def openmetrics(path):
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    with open(path, encoding="utf-8") as file:
        families = {family.name: family for family in text_string_to_metric_families(file.read())}
    what = f"{path.rsplit('/', 1)[-1]} is OpenMetrics"
    kinds = {
        "dataverse_listener_partition_events_received": ("counter", ""),
        "dataverse_listener_partition_behind_seconds": ("gauge", "seconds"),
        "dataverse_listener_sink_queue_bytes": ("gauge", "bytes"),
        "dataverse_listener_sink_attempt_duration_seconds": ("histogram", "seconds"),
    }
    for name, expected in kinds.items():
        family = families.get(name)
        if family is None or (family.type, family.unit) != expected or not family.samples:
            return fail(what, f"{name} is {family}")
    undocumented = [name for name, family in families.items() if not family.documentation]
    if undocumented:
        return fail(what, f"without HELP: {undocumented}")
    ok(f"{what}, {len(families)} families")


def fetch(url, openmetrics_file, classic_file):
    for accept, expected, path in [
        (ACCEPT, OPENMETRICS, openmetrics_file),
        ("*/*", CLASSIC, classic_file),
    ]:
        request = urllib.request.Request(url, headers={"Accept": accept})
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            kind, text = response.headers["Content-Type"], response.read()
        with open(path, "wb") as file:
            file.write(text)
        is_right = kind == expected and text.endswith(b"# EOF\n") == (expected == OPENMETRICS)
        if is_right:
            ok(f"asked with {accept[:30]}...: {kind}")
        else:
            fail(f"asked with {accept[:30]}...", f"{kind}, ends with {text[-20:]}")


def query(prometheus, expression):
    """The values of an expression, by their labels; the server's own words where it does not take it."""
    url = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        raise ValueError(f"{expression}: {error.read().decode()}") from None
    return [float(one["value"][1]) for one in answer["data"]["result"]]


def scraped(prometheus, events):
    events = float(events)
    deadline = time.monotonic() + PATIENCE
    for expression, expected in [
        ('up{job="dataverse-listener"}', [1]),
        ("sum(dataverse_listener_partition_events_received_total)", [events]),
        ("sum(dataverse_listener_sink_events_delivered_total)", [events]),
        ("sum(dataverse_listener_events_decoded_total)", [events]),
        ("sum(dataverse_listener_partition_events_behind)", [0]),
        ("min(dataverse_listener_partition_link_up)", [1]),
        ('dataverse_listener_sink_state{state="delivering"}', [1]),
        ("count(dataverse_listener_build_info)", [1]),
        ("count(process_resident_memory_bytes > 1e6)", [1]),
        ('count(ALERTS{alertstate="firing"})', []),
    ]:
        while (values := query(prometheus, expression)) != expected:
            if time.monotonic() > deadline:
                break
            time.sleep(0.2)
        if values == expected:
            ok(f"{expression} is {expected}")
        else:
            fail(expression, f"{values}, not {expected}")


def dashboard(prometheus, path):
    with open(path, encoding="utf-8") as file:
        panels = json.load(file)["panels"]
    targets = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    # As Grafana does it where everything is chosen.
    concrete = {
        re.sub(r'"\$\w+"', '".*"', target.replace("$__rate_interval", "1m")): target for target in targets
    }
    # A rate wants two scrapes, and the first may just have been.
    deadline = time.monotonic() + PATIENCE
    unanswered = list(concrete)
    while True:
        try:
            unanswered = [expression for expression in unanswered if not query(prometheus, expression)]
        except ValueError as error:
            fail("the queries of the dashboard", error)
            return
        # The one that may stay empty asks for losses that there were not.
        if len(unanswered) <= 1 or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    what = f"the {len(targets)} queries of the dashboard are understood"
    if len(unanswered) <= 1:
        ok(f"{what}, all but {len(unanswered)} have an answer")
    else:
        fail(what, "these have no answer: " + "; ".join(concrete[expression] for expression in unanswered))


if __name__ == "__main__":
    {"openmetrics": openmetrics, "fetch": fetch, "scraped": scraped, "dashboard": dashboard}[
        sys.argv[1]
    ](*sys.argv[2:])

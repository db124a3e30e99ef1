"""What the checks in Python share: a receiver, the program as a daemon, and outcomes."""

import contextlib
import gzip
import http.server
import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time

PATIENCE = 60  # seconds, for anything that must happen

# A table whose name no header can carry as it is, and a body that is no context at all.
ODD = "new_größe 50% \"x\""
ODD_BODY = json.dumps({
    "MessageName": "Update", "PrimaryEntityName": ODD, "InputParameters": [], "Mode": 1,
    "OperationId": "6b9c1d1e-3d6a-ee11-9ae7-000d3a688809",
    "OperationCreatedOn": "/Date(1700000000000+0000)/",
    "OrganizationId": "b015df52-a05f-ee11-a382-000d3a64db73",
}, ensure_ascii=False).encode()
BROKEN_BODY = b"\xff\xfe no context"


def check(name, probe):
    """Runs one check and prints what came of it."""
    try:
        probe()
    except Exception as error:
        print(f"FAIL {name}: {type(error).__name__}: {str(error)[:500]}", flush=True)
    else:
        print(f"ok {name}", flush=True)


def equal(actual, expected):
    assert actual == expected, f"{str(actual)[:200]} is not {str(expected)[:200]}"


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"timed out: {what}"
        time.sleep(0.02)


class Request:
    """A request as the code of a receiver sees it: the body inflated, as servers do."""

    def __init__(self, path, headers, raw):
        self.path, self.headers, self.raw = path, headers, raw
        self.body = gzip.decompress(raw) if headers.get("content-encoding") == "gzip" else raw

    def place(self):
        return self.headers["x-partition"], int(self.headers["x-number"])


class Receiver:
    """A web server that accepts everything, and keeps it by its path."""

    def __init__(self):
        self.requests, self.lock = {}, threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                assert len(headers) == len(self.headers), "a header came twice"
                with outer.lock:
                    outer.requests.setdefault(self.path, []).append(Request(self.path, headers, raw))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path, count):
        wait_for(lambda: len(self.requests.get(path, [])) >= count, f"{count} requests for {path}")
        return self.requests[path][:]


def post(program, count):
    """Posts made-up contexts, and the two odd bodies; returns how many events there are."""
    subprocess.run([program, "simulate", "--count", str(count), "--seed", "3"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        odd, broken = pathlib.Path(folder, "odd.json"), pathlib.Path(folder, "broken.json")
        odd.write_bytes(ODD_BODY)
        broken.write_bytes(BROKEN_BODY)
        subprocess.run([program, "simulate", odd, broken], check=True)
    return count + 2


def messages(program, count):
    """What `listen` prints of the events, by their place."""
    arguments = ["listen", "--from", "earliest", "--format", "json", "--events", str(count)]
    done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, timeout=PATIENCE, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {(message["partition"], message["sequence_number"]): message for message in found}


def sink(name, port, settings=""):
    """A `[[sink]]` table; the tables of the sink come behind its keys."""
    return (
        f'[[sink]]\nname = "{name}"\ntype = "webhook"\nurl = "http://127.0.0.1:{port}/{name}"\n'
        f'headers = {{ X-Partition = "{{partition}}", X-Number = "{{sequence_number}}" }}\n{settings}\n'
    )


@contextlib.contextmanager
def daemon(program, sinks):
    """Runs the daemon with these sinks; gives the path of what it logs."""
    hub = f'[[hub]]\nconnection_string = "{os.environ["EVENTHUB_CONNECTION_STRING"]}"\n'
    with tempfile.TemporaryDirectory() as folder:
        config, log = pathlib.Path(folder, "daemon.toml"), pathlib.Path(folder, "log")
        config.write_text(hub + sinks)
        with log.open("wb") as stderr:
            running = subprocess.Popen([program, "run", "--config", config], stderr=stderr)
        try:
            yield log
        finally:
            running.terminate()
            running.wait(PATIENCE)

"""A server that limits rates: nginx before a receiver, with 429 and Retry-After. limits.py PROGRAM. The hub
is in EVENTHUB_CONNECTION_STRING.
"""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile

import world
from world import check, equal

COUNT = 60

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr error;
events {{ }}
http {{
    log_format short '$status $http_webhook_id';
    access_log {folder}/access.log short;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    limit_req_zone $binary_remote_addr zone=all:1m rate=20r/s;
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 10m;
        error_page 429 = @slow;
        location / {{
            limit_req zone=all burst=9 nodelay;
            limit_req_status 429;
            limit_req_log_level info;
            proxy_pass http://127.0.0.1:{receiver};
        }}
        location @slow {{
            add_header Retry-After 1 always;
            return 429;
        }}
    }}
}}
"""


def is_listening(port):
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def nginx(receiver):
    """Runs nginx before a receiver; gives its port and a function that reads its log."""
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    with socket.socket() as free, tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        # Nothing else gets this port between here and there.
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        configuration = folder / "nginx.conf"
        configuration.write_text(
            CONFIGURATION.format(folder=folder, port=port, receiver=receiver.port))
        running = subprocess.Popen([program, "-p", folder, "-c", configuration])
        try:
            world.wait_for(lambda: is_listening(port), "nginx")
            yield port, lambda: (folder / "access.log").read_text().split("\n")[:-1]
        finally:
            running.terminate()
            running.wait(world.PATIENCE)


def main(program):
    count = world.post(program, COUNT)
    truth = world.messages(program, count)
    receiver = world.Receiver()
    with nginx(receiver) as (port, access):
        with world.daemon(program, world.sink("limited", port)) as log:
            requests = receiver.take("/limited", count)
            said = log.read_text()
        answers = [line.split(" ") for line in access()]
    turned_away = [name for status, name in answers if status == "429"]
    accepted = [name for status, name in answers if status == "204"]
    check("nginx: it limits the rate", lambda: equal(bool(turned_away), True))
    check("nginx: every event arrives once", lambda: equal(
        sorted(request.place() for request in requests), sorted(truth)))

    def in_order():
        for partition in {place[0] for place in truth}:
            numbers = [r.place()[1] for r in requests if r.place()[0] == partition]
            equal(numbers, list(range(len(numbers))))

    check("nginx: those of a partition arrive in order", in_order)
    check("nginx: who was turned away comes back under the same id", lambda: equal(
        set(turned_away) - set(accepted), set()))
    waits = re.findall(r"delivery failed.*answered 429.*retry_in=\S*?([\d.]+)s", said)
    check("nginx: the log shows that it waits for a second or more", lambda: equal(
        bool(waits) and all(float(wait) >= 1 for wait in waits), True))


main(*sys.argv[1:])

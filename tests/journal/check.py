"""What the program sends to the journal of systemd, and what it does where there is none."""

import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

PROGRAM = sys.argv[1]
WAY = os.environ["WAY"].split()
PATIENCE = 60

# Standard error is known as the journal's by its device and inode.
INSIDE = """
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && mount --bind "$1" /run/systemd/journal
shift
if [ "$1" = named ]; then JOURNAL_STREAM=$(stat -Lc %d:%i /dev/stderr); export JOURNAL_STREAM; fi
if [ "$1" = other ]; then export JOURNAL_STREAM=1:1; fi
shift
exec "$@"
"""

SECRETS = [b"SAS_KEY_VALUE", b"SharedAccessSignature sr", b"sig="]

passed, failed = 0, 0


def check(what, holds, shown=""):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print(("ok    " if holds else "FAILED"), what, "" if holds else shown)


def fields(datagram):
    """The fields of an entry: KEY=value in a line, or KEY, a length of eight bytes, and so many."""
    found = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        key, equals, value = line.partition(b"=")
        if not equals:
            length = struct.unpack("<Q", rest[:8])[0]
            value, rest = rest[8 : 8 + length], rest[9 + length :]
        found[key.decode()] = value.decode()
        datagram = rest
    return found


class World:
    """A hub, and a folder with the socket of a journal, where there is one."""

    def __init__(self, folder, has_journal):
        self.folder = pathlib.Path(folder)
        self.journal = self.folder / "journal"
        self.journal.mkdir()
        self.socket = None
        if has_journal:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.socket.bind(str(self.journal / "socket"))
            self.socket.setblocking(False)
        self.hub = subprocess.Popen([PROGRAM, "emulator", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.string = self.hub.stdout.readline().strip()
        self.configuration = self.folder / "daemon.toml"
        self.entries = []

    def run(self, stream, level, form, engine):
        self.configuration.write_text(
            f'[log]\nlevel = "{level}"\nformat = "{form}"\n[[hub]]\nconnection_string = "{self.string}"\n'
            f'engine = "{engine}"\n'
            '[[sink]]\nname = "console"\ntype = "stdout"\n'
        )
        daemon = subprocess.Popen(self.command(stream), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        simulate = [PROGRAM, "simulate", "--count", "5"]
        subprocess.run(simulate, env={**os.environ, "EVENTHUB_CONNECTION_STRING": self.string}, check=True, stderr=subprocess.DEVNULL)
        for _ in range(5):
            assert daemon.stdout.readline(), daemon.stderr.read()
            self.receive()
        daemon.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while daemon.poll() is None:
            assert time.monotonic() < deadline, "the daemon does not end"
            if self.socket:
                select.select([self.socket], [], [], 0.05)
            self.receive()
        self.receive()
        return daemon.wait(), daemon.stderr.read().decode()

    def command(self, stream):
        command = ["unshare", *WAY, "sh", "-c", INSIDE, "sh", str(self.journal), stream]
        return command + [PROGRAM, "run", "--config", str(self.configuration)]

    def refuse(self):
        """Starts a daemon whose configuration is wrong."""
        self.configuration.write_text('[[sink]]\nname = "console"\ntype = "stdoot"\n')
        ended = subprocess.run(self.command("named"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=PATIENCE)
        self.receive()
        return ended.returncode, ended.stderr.decode()

    def receive(self):
        while self.socket:
            try:
                datagram = self.socket.recv(1 << 20)
            except BlockingIOError:
                return
            if datagram:
                self.entries.append(datagram)

    def end(self):
        self.hub.terminate()
        self.hub.wait()


def scene(has_journal, stream, level, form, judge, engine="own"):
    with tempfile.TemporaryDirectory() as folder:
        world = World(folder, has_journal)
        try:
            code, said = world.run(stream, level, form, engine)
            judge(code, said, world.entries)
        finally:
            world.end()


def of_the_journal(code, said, datagrams):
    entries = [fields(datagram) for datagram in datagrams]
    check("it ends well, and says nothing on standard error", code == 0 and said == "", said)
    stopped = next((entry for entry in entries if entry["MESSAGE"].startswith("stopped ")), {})
    check("a line is an entry", stopped != {}, entries)
    check("with its fields", stopped.get("F_RECEIVED") == "5", stopped)
    check("which are in its message too", " received=5 " in stopped.get("MESSAGE", ""), stopped)
    check("its priority", stopped.get("PRIORITY") == "6", stopped)
    check("its module", stopped.get("TARGET") == "dataverse_listener::cli::run", stopped)
    check("and the name of the program", stopped.get("SYSLOG_IDENTIFIER") == "dataverse-listener", stopped)


def of_a_wrong_configuration():
    with tempfile.TemporaryDirectory() as folder:
        world = World(folder, has_journal=True)
        try:
            code, said = world.refuse()
        finally:
            world.end()
    entries = [fields(datagram) for datagram in world.entries]
    check("it ends with the exit code for it, and says nothing on standard error", code == 78 and said == "", said)
    told = [entry for entry in entries if "unknown type of sink" in entry["MESSAGE"]]
    check("the journal has the mistake", len(told) == 1, entries)
    check("every mistake is an error", {entry["PRIORITY"] for entry in entries} == {"3"}, entries)
    check("with the exit code", {entry.get("F_EXIT_CODE") for entry in entries} == {"78"}, entries)


def of_a_journal_that_is_closely_kept(code, said, datagrams):
    check("it ends well", code == 0, said)
    traces = [datagram for datagram in datagrams if b"event received" in datagram]
    check("every event is in the journal", len(traces) == 5, len(traces))
    found = [secret for secret in SECRETS if any(secret in datagram for datagram in datagrams)]
    check("but no secret", found == [], found)


def of_lines(prefix, expects_warning):
    def judge(code, said, datagrams):
        lines = said.splitlines()
        check("it ends well, and sends nothing to the journal", code == 0 and not datagrams, said)
        check("every line has its level in front", all(line.startswith(prefix) for line in lines), said)
        stopped = any("stopped received=5" in line for line in lines)
        check("and is a line of text", stopped, said)
        warning = any("the journal of systemd is not there" in line for line in lines)
        check("it says that the journal is missing where it was asked for", warning == expects_warning, said)

    return judge


print("the journal is there, and standard error is its")
scene(True, "named", "info", "auto", of_the_journal)
print("the journal is there and asked for")
scene(True, "none", "info", "journald", of_the_journal)
print("the configuration is wrong")
of_a_wrong_configuration()
print("the journal at the level trace")
for engine in ["own", "fe2o3"]:
    scene(True, "named", "trace", "auto", of_a_journal_that_is_closely_kept, engine)
print("no journal answers, and standard error is its")
scene(False, "named", "info", "auto", of_lines(("<6>", "<4>"), False))
print("the same, and the journal was asked for")
scene(False, "named", "info", "journald", of_lines(("<6>", "<4>"), True))
print("standard error was the journal's, and is redirected")
scene(True, "other", "info", "auto", of_lines("20", False))
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)

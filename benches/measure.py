"""What benches/deliver and benches/peers share: programs that are built, run and measured.

CPU is the user and system time of the measured process alone, as wait4 gives it, from its start to its end.
"""

import contextlib
import glob
import json
import os
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CORPUS = os.path.join(ROOT, "tests", "data", "corpus")
PARTITIONS = 4
PATIENCE = 600


def build():
    """The daemon and the programs of this folder, by name."""
    arguments = ["cargo", "build", "--release", "--message-format=json", "--bins", "--benches"]
    built = subprocess.run(arguments, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    artifacts = [json.loads(line) for line in built.stdout.splitlines()]
    # The tests of the daemon's own are built under its name too.
    return {
        artifact["target"]["name"]: artifact["executable"]
        for artifact in artifacts
        if artifact.get("executable") and not ("bin" in artifact["target"]["kind"] and artifact["profile"]["test"])
    }


@contextlib.contextmanager
def surroundings(program, body, events):
    """A hub with so many events of this body in each partition, and a server: (connection string, url)."""
    arguments = [program, body, str(events)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip(), process.stdout.readline().strip()
        finally:
            process.stdin.close()


@contextlib.contextmanager
def blast(bench, size, per_partition, partitions, body=None, cpu=None):
    """The lean server of the folder `bench`, with events of this size or with this file as body: its port.

    It runs on the CPU of this number, where one is given."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [*on(cpu), os.path.join(bench, "target/release/blast"), port, size, per_partition, partitions]
    environment = {**os.environ, "BODYFILE": body} if body else os.environ
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([str(argument) for argument in arguments], env=environment, **quiet) as process:
        try:
            # It serves whoever connects, so it is not asked whether it is there.
            time.sleep(1)
            yield port
        finally:
            process.kill()


def on(cpu):
    """What a command begins with that is to run on the CPU of this number alone; nothing for none."""
    return [] if cpu is None or os.cpu_count() < 2 else ["taskset", "-c", str(cpu)]


class Run:
    """What a run took."""

    def __init__(self, events, wall, usage):
        self.per_second = events / wall
        self.cpu = (usage.ru_utime + usage.ru_stime) * 1e6 / events
        self.resident = usage.ru_maxrss / 1024


def program(arguments, events, **more):
    """Runs a program to its end."""
    start = time.monotonic()
    process = subprocess.Popen(arguments, **more)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{arguments[0]} ended with {process.returncode}")
    return Run(events, time.monotonic() - start, usage)


def daemon(executable, hub, events, sinks):
    """Runs the daemon until its checkpoints are behind so many events in each partition.

    `sinks` is the configuration of the sinks; `{folder}` in it is a folder of this run.
    """
    with tempfile.TemporaryDirectory() as folder:
        state = os.path.join(folder, "state")
        configuration = os.path.join(folder, "daemon.toml")
        with open(configuration, "w") as file:
            file.write(f'[[hub]]\nconnection_string = "{hub}"\n')
            file.write(f'[checkpoint]\nstore = "file"\npath = "{state}"\n')
            file.write(sinks.replace("{folder}", folder))
        start = time.monotonic()
        with open(os.path.join(folder, "log"), "w+") as log:
            process = subprocess.Popen(
                [executable, "run", "--config", configuration], stdout=subprocess.DEVNULL, stderr=log
            )
            while not is_behind(state, events):
                if process.poll() is not None or time.monotonic() - start > PATIENCE:
                    process.kill()
                    log.seek(0)
                    raise SystemExit(f"the daemon did not do it; it said:\n{log.read()}")
                time.sleep(0.02)
            wall = time.monotonic() - start
            process.terminate()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        return Run(PARTITIONS * events, wall, usage)


def is_behind(state, events):
    """True when the checkpoint of every partition is the last of so many events."""
    checkpoints = glob.glob(os.path.join(state, "*", "*", "*", "*.json"))
    return len(checkpoints) == PARTITIONS and all(
        json.load(open(path))["sequence_number"] == events - 1 for path in checkpoints
    )


def best(runs):
    """The run with the least CPU: everything that disturbs adds to it."""
    return min(runs, key=lambda run: run.cpu)


def machine():
    """Where this was measured."""
    with open("/proc/cpuinfo") as file:
        models = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return f"{len(models)} x {models[0] if models else 'CPU'}, Linux {os.uname().release}"

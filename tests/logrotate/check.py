"""Counts the events in the files of a directory, and compares with what was posted and what the daemon said.

    check.py DIRECTORY EVENTS

Ends with 0 when every event is there, no line is torn, and none is there twice without having been told.

The last line of a copy (NAME.1 and so on, where logrotate copies) may be half: logrotate reads while the
daemon writes, and then the copy ends there. The daemon writes that line again, so its event must be whole
in another file. Such a line is counted apart.
"""

import collections
import gzip
import json
import pathlib
import re
import sys

home, events = pathlib.Path(sys.argv[1]), int(sys.argv[2])
copies = "copytruncate" in (home / "logrotate.conf").read_text()

seen = collections.Counter()
files = torn = cut = 0
for path in sorted((home / "log").glob("events.ndjson*")):
    try:
        text = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
    except (FileNotFoundError, EOFError):
        # logrotate is at it.
        sys.exit(1)
    files += 1
    for line in text.splitlines(keepends=True):
        try:
            if not line.endswith(b"\n"):
                raise ValueError
            document = json.loads(line)
            seen[document["partition"], document["sequence_number"]] += 1
        except ValueError:
            if copies and path.name != "events.ndjson" and text.endswith(line) and not line.endswith(b"\n"):
                cut += 1
            else:
                torn += 1

log = (home / "daemon.log").read_text()
told = sum(int(count) for count in re.findall(r"written_again=(\d+)", log))
twice = seen.total() - len(seen)
print(
    f"{files} files, {len(seen)} of {events} events, {torn} torn lines, {cut} cut at the end of a copy,"
    f" {twice} lines twice, {told} told to be written again"
)
sys.exit(0 if len(seen) == events and torn == 0 and twice <= told else 1)

"""Sends messages of 1 byte to 1 MB to a queue with Proton, and says how many bytes they have and their sum.

    send.py ADDRESS:PORT NODE COUNT [FIRST]

Their sizes go by their numbers, from FIRST (0) on. The sum is that of each body's first and last byte, as
benches/receive.rs has it. AMQP_USER and AMQP_PASSWORD are sent where they are set.
"""

import os
import sys

from proton import Message
from proton.handlers import MessagingHandler
from proton.reactor import Container


def body(number):
    """Mostly small; each hundredth is larger than a frame, each thousandth a megabyte."""
    size = number % 997 + 1
    if number % 100 == 0:
        size = 65_536 + number
    if number % 1000 == 0:
        size = 1_000_000
    return bytes([number % 251]) * (size - 1) + bytes([number % 241])


class Send(MessagingHandler):
    def __init__(self, address, node, count, first):
        super().__init__()
        self.address, self.node, self.count, self.first = address, node, count, first
        self.sent = self.settled = self.bytes = self.sum = 0

    def on_start(self, event):
        user, password = os.environ.get("AMQP_USER"), os.environ.get("AMQP_PASSWORD")
        options = {"user": user, "password": password} if user else {"allowed_mechs": "ANONYMOUS"}
        connection = event.container.connect(self.address, sasl_enabled=True, **options)
        event.container.create_sender(connection, self.node)

    def on_sendable(self, event):
        while event.sender.credit and self.sent < self.count:
            content = body(self.first + self.sent)
            event.sender.send(Message(body=content, inferred=True))
            self.bytes += len(content)
            self.sum += content[0] + content[-1]
            self.sent += 1
            if self.sent % 64 == 0:
                break

    def on_accepted(self, event):
        self.settled += 1
        if self.settled == self.count:
            event.connection.close()

    def on_transport_error(self, event):
        print(event.transport.condition, file=sys.stderr)
        sys.exit(1)


send = Send(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 0)
Container(send).run()
print(f"{send.settled} messages, {send.bytes} bytes, sum {send.sum}")

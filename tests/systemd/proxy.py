"""Stands between the daemon and a hub, and takes events out of what the hub sends when it is told to.

    proxy.py PORT

Listens on a port of the system's choosing and prints it; PORT is the hub's. After SIGUSR1 each connection gets two
more events, and from then on heartbeats in their place: it is alive, and nothing comes. After SIGUSR2 everything
passes again. What the daemon sends always passes.
"""

import asyncio
import signal
import sys

HEARTBEAT = bytes([0, 0, 0, 8, 2, 0, 0, 0])
TRANSFER = bytes([0x00, 0x53, 0x14])
PASSED = 2

takes = False


def takes_from_now_on(yes):
    global takes
    takes = yes


def holds_event(frame):
    return frame[8:11] == TRANSFER and b"x-opt-sequence-number" in frame


async def read_frame(hub):
    """A frame, or a protocol header."""
    head = await hub.readexactly(8)
    if head.startswith(b"AMQP"):
        return head
    return head + await hub.readexactly(int.from_bytes(head[:4], "big") - 8)


async def answers(hub, daemon):
    passed = 0
    while True:
        frame = await read_frame(hub)
        if takes and holds_event(frame):
            passed += 1
            if passed > PASSED:
                frame = HEARTBEAT
        daemon.write(frame)
        await daemon.drain()


async def questions(daemon, hub):
    while piece := await daemon.read(65536):
        hub.write(piece)
        await hub.drain()


async def connection(daemon, to_daemon):
    to_hub = None
    try:
        hub, to_hub = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
        ways = [asyncio.ensure_future(answers(hub, to_daemon)), asyncio.ensure_future(questions(daemon, to_hub))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        # Whoever ends, and how: the other side sees a connection that ends.
        await asyncio.gather(*ways, return_exceptions=True)
    except OSError:
        pass
    finally:
        for end in filter(None, (to_daemon, to_hub)):
            end.close()


async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, takes_from_now_on, True)
    loop.add_signal_handler(signal.SIGUSR2, takes_from_now_on, False)
    server = await asyncio.start_server(connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())

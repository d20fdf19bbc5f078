"""Put first on the path of a program under test: it notes every attempt to reach a network, in each process.

Python runs it at the start of every interpreter that has its folder in PYTHONPATH, the engine's too.
"""

import os
import sys

_LOG = os.environ["CHATTERM_TEST_NETWORK"]
_EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg")


def _note(event, arguments):
    if event in _EVENTS:
        target = (
            arguments[1] if event in ("socket.connect", "socket.sendto", "socket.sendmsg") else arguments[0]
        )
        line = f"{event} {target!r} in {sys.argv}\n"
        file = os.open(_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(file, line.encode())
        os.close(file)


sys.addaudithook(_note)
with open(_LOG, "ab") as log:  # noqa: PTH123 - pathlib would be imported before the program's own start
    log.write(b"started\n")

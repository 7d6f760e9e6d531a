"""
Stands for one command in the process table: hands over what it was given, ends as the command ended.

Run as `python -I -S program_client.py ADDRESS ARGUMENT...`; started often, so it imports next to nothing.
"""

import os
import signal
import socket
import sys


def main() -> None:
    door = socket.socket(socket.AF_UNIX)
    door.connect(sys.argv[1])
    words = [os.getcwdb(), *map(os.fsencode, sys.argv[2:])]
    variables = [name + b"=" + value for name, value in os.environb.items()]
    message = b"\0".join([b"%d" % len(words), *words, *variables])
    socket.send_fds(door, [b"%12d" % len(message)], [0, 1, 2])
    door.sendall(message)
    # Nothing comes where the process that forks has ended; then so has the command.
    status = int(door.recv(16) or signal.SIGKILL)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


main()

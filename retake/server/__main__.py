"""`python -m retake.server NAME SOCKET PIPE`, started by retake.server.launch."""

import sys

from retake.server.serving import Server

if __name__ == "__main__":
    name, listener, alive = sys.argv[1:]
    Server(name, int(listener), int(alive)).serve()

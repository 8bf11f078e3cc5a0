"""Runs a printed Python program with another default port: ``snippet.py PORT PROGRAM``.

A program that names no port means 9090, which may belong to somebody else on this machine.
"""

import runpy
import sys

from whisper_streaming.client.base import ClientBase

DEFAULT_PORT = 9090

port, program = int(sys.argv[1]), sys.argv[2]
defaults = ClientBase.__init__.__defaults__
assert defaults is not None
assert DEFAULT_PORT in defaults
ClientBase.__init__.__defaults__ = tuple(
    port if default == DEFAULT_PORT else default for default in defaults
)
sys.argv = [program]
runpy.run_path(program, run_name="__main__")

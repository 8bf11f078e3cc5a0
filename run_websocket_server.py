"""Start the server: ``python run_websocket_server.py --help`` says how."""

import sys

from whisper_streaming.server.cli import main

if __name__ == "__main__":
    sys.exit(main())

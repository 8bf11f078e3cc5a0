"""Start a server from a program, with settings of its own.

    python examples/server.py --model demo

Stop it with Ctrl-C or SIGTERM: every client gets its last words first.
"""

import argparse
import logging

from whisper_streaming.config import BackendSettings, LimitSettings, ServerConfig
from whisper_streaming.server import WhisperStreamingServer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="default: small if it can be had, else the embedded demo")
    parser.add_argument("--port", type=int, default=9090, help="0 picks a free one")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO)

    config = ServerConfig(
        language=None,  # detect it, for clients that name none
        backend=BackendSettings(models=(arguments.model,) if arguments.model else ()),
        limits=LimitSettings(max_clients=8, max_connection_time_s=3600),
    )
    WhisperStreamingServer(config).run(port=arguments.port, on_started=announce)


def announce(server: WhisperStreamingServer) -> None:
    """Say where the server is; called once it listens."""
    print(f"listening on ws://{server.config.host}:{server.port}", flush=True)
    print(f"up to {server.client_manager.get_status()['max_clients']} clients", flush=True)


if __name__ == "__main__":
    main()

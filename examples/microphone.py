"""Show live captions of the microphone; Ctrl-C ends them.

    pip install ".[mic]"
    python examples/microphone.py

Needs a running server: python run_websocket_server.py
"""

import argparse
import sys

from whisper_streaming.client import ClientError, TranscriptionClient, TranscriptSegment


def show(text: str, segments: list[TranscriptSegment]) -> None:
    """Write the newest caption over the last one; a final one keeps its line."""
    if segments:
        newest = segments[-1]
        end = "\n" if newest["completed"] else ""
        print(f"\r\x1b[K{newest['text'].strip()}", end=end, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=9090)
    parser.add_argument("--language", default="en", help="a Whisper code, or auto")
    arguments = parser.parse_args()

    client = TranscriptionClient(
        arguments.host, arguments.port, arguments.language, transcription_callback=show
    )
    try:
        result = client()  # until Ctrl-C; the last words are waited for
    except ClientError as error:  # no PyAudio, no microphone, no server ...
        sys.exit(str(error))
    print(f"\nAll of it: {result.text}")


if __name__ == "__main__":
    main()

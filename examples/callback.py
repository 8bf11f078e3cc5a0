"""Do something with every caption as soon as it is final.

    python examples/callback.py talk.mp3

Needs a running server: python run_websocket_server.py
"""

import argparse
import sys

from whisper_streaming.client import ClientError, TranscriptionClient, TranscriptSegment


class FinalCaptions:
    """Prints each caption once, when it will not change any more.

    The client calls it on every update, with the whole text and all segments so far; at most
    the last segment is still open.
    """

    def __init__(self) -> None:
        self._printed = 0

    def __call__(self, text: str, segments: list[TranscriptSegment]) -> None:
        final = [segment for segment in segments if segment["completed"]]
        for segment in final[self._printed :]:
            print(f"[{segment['start']:6.2f} - {segment['end']:6.2f}] {segment['text'].strip()}")
        self._printed = len(final)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", help="a file or a URL")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=9090)
    arguments = parser.parse_args()

    client = TranscriptionClient(
        arguments.host, arguments.port, transcription_callback=FinalCaptions()
    )
    try:
        client(arguments.file)
    except ClientError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

"""Turn speech in another language into English text.

    python examples/translation.py --language de talk.mp3

Needs a running server with a model that knows more than English, which all but the ".en" and
the distilled ones do: python run_websocket_server.py
"""

import argparse
import asyncio
import sys

from whisper_streaming.client import AsyncTranscriptionClient, ClientError


async def translate(file: str, language: str, host: str, port: int) -> str:
    """The English text of a recording.

    Raises:
        ClientError: With a message that says what to do.
    """
    client = AsyncTranscriptionClient(host, port, language, translate=True, realtime=False)
    result = await client.transcribe(file)
    return result.text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", help="a file or a URL")
    parser.add_argument("--language", default="auto", help="a Whisper code; default: detect it")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, default=9090)
    arguments = parser.parse_args()
    work = translate(arguments.file, arguments.language, arguments.host, arguments.port)
    try:
        print(asyncio.run(work))
    except ClientError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

"""The translated_segments messages of one WhisperLive connection.

As WhisperLive's server sends them: one message for each translation that is final, which lists the
newest ones. Clients that ask for a ``summary`` also get a translation of what is still open, as the
last one and with ``completed`` false; stock clients would take it for open words of the speaker.
"""

import json
from collections import deque

from whisper_streaming.core.events import TranslationCommitted, TranslationUpdated
from whisper_streaming.wire.whisper_live_captions import MAX_LISTED
from whisper_streaming.wire.whisper_live_messages import Options


class TranslationWriter:
    """Prints translations for one client."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._listed: deque[str] = deque(maxlen=options.send_last_n_segments or MAX_LISTED)
        self._open: str | None = None

    def write(self, event: TranslationUpdated | TranslationCommitted) -> list[str]:
        """The message about ``event``; none if there is nothing to show, or nobody to show it."""
        if not (self._options.enable_translation or self._options.takes_translation):
            return []
        if isinstance(event, TranslationUpdated):
            return self._update(event)
        was_open, self._open = self._open, None
        if event.text is not None:
            self._listed.append(self._print(event, event.text, completed=True))
        return [self._message()] if event.text is not None or was_open else []

    def _update(self, event: TranslationUpdated) -> list[str]:
        shown = self._print(event, event.text, completed=False) if event.text else None
        if not self._options.summary or shown == self._open:
            return []
        self._open = shown
        return [self._message()]

    def _print(
        self, event: TranslationUpdated | TranslationCommitted, text: str, *, completed: bool
    ) -> str:
        return json.dumps(
            {
                "start": self._time(event.start),
                "end": self._time(event.end),
                "text": text,
                "completed": completed,
                "target_language": event.language,
            }
        )

    def _message(self) -> str:
        segments = [*self._listed] if self._open is None else [*self._listed, self._open]
        return (
            f'{{"uid": {json.dumps(self._options.uid)}, '
            f'"translated_segments": [{", ".join(segments)}]}}'
        )

    def _time(self, time_s: float) -> str | float:
        return round(time_s, 3) if self._options.numeric_times else f"{time_s:.3f}"

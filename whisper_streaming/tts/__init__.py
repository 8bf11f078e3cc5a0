"""Speech output: text becomes audio, on this machine.

    from whisper_streaming.tts import play, save, synthesize

    speech = synthesize("Good morning.", "en")
    save(speech, "morning.wav")
    play(speech)

The voice is eSpeak NG: its program, or its library from the extra ``[tts]``. It knows about a
hundred languages and sounds like a robot. Another :class:`Voice` may be given, for example a
:class:`PiperVoice`, which sounds like a person.
"""

from whisper_streaming.tts.espeak import EspeakVoice
from whisper_streaming.tts.piper import PiperVoice
from whisper_streaming.tts.speech import Speech, Voice, play, save

__all__ = [
    "EspeakVoice",
    "PiperVoice",
    "Speech",
    "Voice",
    "play",
    "save",
    "synthesize",
    "synthesize_turkish",
]


def synthesize(text: str, language: str = "en", *, voice: Voice | None = None) -> Speech:
    """Speak ``text``.

    Args:
        text: Of any length. Without a letter or a digit in it, no audio comes back.
        language: Whisper language code, also with a region, as in ``"en-GB"``.
        voice: Who speaks; None takes eSpeak NG.

    Returns:
        Samples and their rate; ``samples, rate = synthesize(...)`` takes it apart.

    Raises:
        SpeechError: If nothing that speaks is installed, the voice does not know the language, or
            it fails or does not answer; the message says which, and what to do.
    """
    return (voice or EspeakVoice()).synthesize(text, language)


def synthesize_turkish(text: str) -> Speech:
    """Speak Turkish ``text``: ``synthesize(text, "tr")``.

    Raises:
        SpeechError: As :func:`synthesize`.
    """
    return synthesize(text, "tr")

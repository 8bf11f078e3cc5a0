"""The library of eSpeak NG as a program, for machines that only have its Python package.

Takes what is used of the ``espeak-ng`` program: ``-v VOICE -s SPEED --stdin --stdout``. Run as a
file, in a process of its own; it imports nothing of this package.
"""

import argparse
import ctypes
import importlib
import sys
import wave

# From espeak-ng's speak_lib.h.
_OUTPUT_SYNCHRONOUS = 2
_PARAMETER_RATE = 1
_TEXT_IS_UTF8 = 1
_PAUSE_AT_THE_END = 0x1000

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class _VoiceProperties(ctypes.Structure):
    """``espeak_VOICE``."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("reserved", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


def main() -> int:
    """Speak standard input to standard output; returns the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-v", dest="voice", required=True)
    parser.add_argument("-s", dest="speed", type=int, required=True)
    parser.add_argument("--stdin", action="store_true", required=True)
    parser.add_argument("--stdout", action="store_true", required=True)
    arguments = parser.parse_args()

    package = importlib.import_module("espeakng_loader")
    library = ctypes.CDLL(package.get_library_path())
    data = package.get_data_path().encode()
    rate = library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, data, 0)
    if rate <= 0:
        return _fail(f"the library does not start ({rate})")
    if not _choose_voice(library, arguments.voice.encode()):
        return _fail("the voice does not exist")
    library.espeak_SetParameter(_PARAMETER_RATE, arguments.speed, 0)
    pcm = _speak(library, sys.stdin.buffer.read())
    with wave.open(sys.stdout.buffer, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(rate)
        recording.setnframes(len(pcm) // 2)  # a pipe cannot go back to correct it
        recording.writeframesraw(pcm)
    return 0


def _choose_voice(library: ctypes.CDLL, voice: bytes) -> bool:
    """Whether there is a voice of that name, or one of that language."""
    if library.espeak_SetVoiceByName(voice) == 0:
        return True
    wanted = _VoiceProperties(languages=voice)
    return bool(library.espeak_SetVoiceByProperties(ctypes.byref(wanted)) == 0)


def _speak(library: ctypes.CDLL, text: bytes) -> bytes:
    """Little-endian 16 bit samples."""
    pcm = bytearray()

    def take(samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: object) -> int:
        if samples and count > 0:
            pcm.extend(ctypes.string_at(samples, 2 * count))
        return 0  # go on

    receive = _Callback(take)
    library.espeak_SetSynthCallback(receive)
    flags = _TEXT_IS_UTF8 | _PAUSE_AT_THE_END
    library.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, 0, 0, flags, None, None)
    library.espeak_Synchronize()
    return bytes(pcm)


def _fail(reason: str) -> int:
    sys.stderr.write(f"Error: {reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())

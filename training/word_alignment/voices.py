"""Two speech synthesizers that say when each word is said, through their C libraries."""

import ctypes
from typing import Final

import numpy as np

from whisper_streaming.core.audio import SAMPLE_RATE, FloatArray

FLITE_VOICES: Final = ("slt", "rms", "awb", "kal16")
ESPEAK_ACCENTS: Final = ("en-us", "en", "en-gb-scotland", "en-029", "en-gb-x-rp")
ESPEAK_VARIANTS: Final = (
    "", "+f1", "+f2", "+f3", "+f4", "+f5", "+m1", "+m2", "+m3", "+m4", "+m5", "+m7"
)  # fmt: skip

Times = list[tuple[str, float, float]]
"""Words as they are written, with their start and end in seconds."""

_POINTER: Final = ctypes.c_void_p


class _FliteWave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


class Flite:
    """libflite (Debian: flite)."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libflite.so.1", mode=ctypes.RTLD_GLOBAL)
        for name in ("usenglish", "cmulex"):
            ctypes.CDLL(f"libflite_{name}.so.1", mode=ctypes.RTLD_GLOBAL)
        text = ctypes.c_char_p
        for name, result, arguments in (
            ("flite_synth_text", _POINTER, (text, _POINTER)),
            ("utt_wave", ctypes.POINTER(_FliteWave), (_POINTER,)),
            ("utt_relation", _POINTER, (_POINTER, text)),
            ("relation_head", _POINTER, (_POINTER,)),
            ("item_next", _POINTER, (_POINTER,)),
            ("item_feat_float", ctypes.c_float, (_POINTER, text)),
            ("ffeature_string", text, (_POINTER, text)),
            ("path_to_item", _POINTER, (_POINTER, text)),
            ("delete_utterance", None, (_POINTER,)),
        ):
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments
        self._library.flite_init()
        self._voices = {name: self._register(name) for name in FLITE_VOICES}

    def say(self, text: str, voice: str) -> tuple[FloatArray, Times]:
        """Speak ``text`` (ASCII); float32, shape (n,), mono, 16 kHz."""
        library = self._library
        utterance = library.flite_synth_text(text.encode(), self._voices[voice])
        wave = library.utt_wave(utterance).contents
        assert wave.sample_rate == SAMPLE_RATE
        samples = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)) / np.float32(32768)
        times: Times = []
        word_before, end_before = None, 0.0
        segment = library.relation_head(library.utt_relation(utterance, b"Segment"))
        while segment:
            end = library.item_feat_float(segment, b"end")
            word = library.path_to_item(segment, b"R:SylStructure.parent.parent.R:Token.parent")
            if not word or library.ffeature_string(segment, b"name") == b"pau":
                word = None
            elif word == word_before:
                times[-1] = (times[-1][0], times[-1][1], end)
            else:
                name = library.ffeature_string(word, b"name").decode()
                times.append((name, end_before, end))
            word_before, end_before = word, end
            segment = library.item_next(segment)
        library.delete_utterance(utterance)
        return samples.astype(np.float32), times

    def _register(self, name: str) -> int | None:
        library = ctypes.CDLL(f"libflite_cmu_us_{name}.so.1", mode=ctypes.RTLD_GLOBAL)
        register = getattr(library, f"register_cmu_us_{name}")
        register.restype, register.argtypes = _POINTER, (_POINTER,)
        voice: int | None = register(None)
        return voice


class _EspeakId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _EspeakEvent(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", _POINTER),
        ("id", _EspeakId),
    )


# From speak_lib.h of espeak-ng.
_LAST_EVENT, _WORD, _CLAUSE_END, _PHONEME = 0, 1, 5, 7
_SYNCHRONOUS, _PHONEME_EVENTS = 2, 1
_RATE, _PITCH = 1, 3
_UTF8 = 1


class Espeak:
    """libespeak-ng (Debian: espeak-ng)."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libespeak-ng.so.1")
        self.sample_rate: int = self._library.espeak_Initialize(
            _SYNCHRONOUS, 0, None, _PHONEME_EVENTS
        )
        self._chunks: list[np.ndarray[tuple[int], np.dtype[np.int16]]] = []
        self._events: list[tuple[int, int, int, float, bytes]] = []
        kind = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int,
            ctypes.POINTER(_EspeakEvent),
        )  # fmt: skip
        self._callback = kind(self._receive)  # the library keeps no reference
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, voice: str, *, rate: int, pitch: int) -> tuple[FloatArray, Times]:
        """Speak ``text`` (ASCII); float32, shape (n,), mono, at ``sample_rate``."""
        self._chunks, self._events = [], []
        assert self._library.espeak_SetVoiceByName(voice.encode()) == 0, voice
        self._library.espeak_SetParameter(_RATE, rate, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        encoded = text.encode()
        self._library.espeak_Synth(
            encoded, ctypes.c_size_t(len(encoded) + 1), 0, 1, 0, _UTF8, None, None
        )
        self._library.espeak_Synchronize()
        return np.concatenate(self._chunks) / np.float32(32768), self._times(text)

    def _receive(self, wave: object, count: int, events: object) -> int:
        if count > 0 and wave:
            self._chunks.append(np.ctypeslib.as_array(wave, (count,)).copy())  # type: ignore[call-overload]
        index = 0
        while events[index].type != _LAST_EVENT:  # type: ignore[index]
            event = events[index]  # type: ignore[index]
            name = bytes(event.id.string) if event.type == _PHONEME else b""
            at = event.sample / self.sample_rate
            self._events.append((event.type, event.text_position, event.length, at, name))
            index += 1
        return 0

    def _times(self, text: str) -> Times:
        """A word ends where the next one, a pause, or the end of the clause begins."""
        times: Times = []
        is_open = False
        for kind, position, length, at, name in self._events:
            ends = kind in (_WORD, _CLAUSE_END) or (kind == _PHONEME and name.startswith(b"_"))
            if is_open and ends:
                times[-1] = (times[-1][0], times[-1][1], at)
                is_open = False
            if kind == _WORD:
                times.append((text[position - 1 : position - 1 + length], at, at))
                is_open = True
        return times

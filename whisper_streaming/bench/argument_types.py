"""Numbers on the command line; what they refuse is a usage error before anything is measured."""


def whole_number(text: str) -> int:
    """From 1 on."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def above_zero(text: str) -> float:
    """Finite, and more than nothing."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError(text)
    return number


def at_least_zero(text: str) -> float:
    """Finite, and not negative."""
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError(text)
    return number


def window_seconds(text: str) -> float:
    """As long as a window that Whisper can hear."""
    number = float(text)
    if not 0 < number <= 30:
        raise ValueError(text)
    return number


def token_count(text: str) -> int:
    """So many tokens leave room for the others in a decoder's 448."""
    number = int(text)
    if not 0 <= number <= 200:
        raise ValueError(text)
    return number


# Argparse names the type in its message.
whole_number.__name__ = "whole number from 1 on"
above_zero.__name__ = "number above 0"
at_least_zero.__name__ = "number from 0 on"
window_seconds.__name__ = "number of seconds above 0 and up to 30"
token_count.__name__ = "number of tokens from 0 to 200"

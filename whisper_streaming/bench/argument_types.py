"""What the measurements of CTranslate2 alone take on the command line."""


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
window_seconds.__name__ = "number of seconds above 0 and up to 30"
token_count.__name__ = "number of tokens from 0 to 200"

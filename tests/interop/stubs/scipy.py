"""In place of scipy, which the WhisperLive client imports and does not use."""

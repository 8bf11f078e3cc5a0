"""What a page or a client may know of the server before it opens a session."""

from collections.abc import Sequence

from whisper_streaming.backends.base import DEMO, BackendInfo
from whisper_streaming.config import ServerConfig
from whisper_streaming.version import __version__


def public_info(
    config: ServerConfig, backend: BackendInfo, targets: Sequence[str] = ()
) -> dict[str, object]:
    """The content of ``/info``, ready for JSON: what a session gets that asks for no model.

    Args:
        config: The settings.
        backend: The loaded models.
        targets: Languages that such a session can be translated to.
    """
    model = backend.model(None)
    return {
        "version": __version__,
        "model": model.name,
        "models": [each.name for each in backend.models],
        "is_embedded_model": model.name == DEMO,
        "notice": model.notice,
        "languages": list(model.languages),
        "detects_language": model.is_multilingual,
        "language": config.only_language,
        "target_languages": list(targets),
        "max_connection_time_s": config.limits.max_connection_time_s,
    }

"""The server: connections, sessions, limits, start and stop."""

from whisper_streaming.server.client_manager import ClientManager
from whisper_streaming.server.serve_client import ServeClient
from whisper_streaming.server.websocket_server import WhisperStreamingServer

__all__ = ["ClientManager", "ServeClient", "WhisperStreamingServer"]

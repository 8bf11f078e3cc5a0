"""Live transcription of many audio streams over WebSockets."""

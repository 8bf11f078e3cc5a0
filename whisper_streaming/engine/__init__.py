"""Everything between a session's request and a backend."""

"""A live session with everything around it except the connection.

The server runs it over WebSockets, ``live_kit`` inside other people's programs.
"""

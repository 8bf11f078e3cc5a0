"""Measurements, one command each: ``whisper-streaming bench NAME``.

Each measurement is a module of this folder with ``add_arguments(parser)`` and
``run(arguments) -> Report``; :mod:`whisper_streaming.bench.cli` does the rest.
"""

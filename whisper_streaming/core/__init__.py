"""The pure core: what to decode, when to commit, what to tell. No I/O, no clock, no model."""

"""Measurements by hand; run each as a module from the top of the clone."""

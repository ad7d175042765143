"""Which request something is part of (W3C Trace Context), and what took how long in it.

Contexts are passed on whether or not anything is recorded; OpenTelemetry is imported only where it
is (`recorder.py`).
"""

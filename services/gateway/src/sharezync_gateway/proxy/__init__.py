"""The proxy: from a request that was let in to the service's answer, streaming both ways.

paths → headers → body → an Upstream (HTTP or ASGI) → answer. Each of these is one file.
"""

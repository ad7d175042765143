"""The whole of ShareZync on one machine: in one process or as a fleet, with the servers under it.

Owns how things are brought up and put away, and no data of its own.
"""

"""What people call something, or write: one policy for each kind, and the types that hold to it.

The table of policies is in the README beside this file.
"""

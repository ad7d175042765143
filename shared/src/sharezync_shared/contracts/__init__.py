"""What the services serve for each other under `/internal`: one module for each owner.

A module declares the shapes, the operations, and the client that makes them; owners serve them by
`calls.serving.serve`, and no path of them is written anywhere else. A contract changes by adding
fields with defaults, as replicas of two versions serve and call each other during an update.
"""

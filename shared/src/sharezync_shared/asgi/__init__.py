"""What turns a set of routes into a process that can be run, watched and stopped."""

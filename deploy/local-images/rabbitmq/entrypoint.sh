#!/bin/sh
# Called as the official image's entrypoint is: with the program to run.
set -eu

exec "$@"

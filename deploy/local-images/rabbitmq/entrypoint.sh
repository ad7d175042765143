#!/bin/sh
# Name the first user by the variables of the official image, then serve.
set -eu

{
    echo "default_user = $RABBITMQ_DEFAULT_USER"
    echo "default_pass = $RABBITMQ_DEFAULT_PASS"
} >/etc/rabbitmq/rabbitmq.conf
# The server would take these for settings of its own and complain that they are not.
unset RABBITMQ_DEFAULT_USER RABBITMQ_DEFAULT_PASS
exec rabbitmq-server

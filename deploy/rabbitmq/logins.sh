#!/bin/sh
# Run before the broker starts, each time: a login for each service, which declares and reads its own
# queues and publishes under its own name, and `admin` for people; and the limits of queues, from
# policies.json beside this file. Then run the given command.
set -eu

folder=${RABBITMQ_CONFIG_FOLDER:-/etc/rabbitmq}
umask 077

json() { # TEXT
    case $1 in *[[:cntrl:]]*)
        echo 'A password of the broker has a control character in it' >&2
        exit 1
        ;;
    esac
    printf '%s\n' "$1" | sed 's/[\\"]/\\&/g'
}

users() {
    password=$(json "$RABBITMQ_PASSWORD")
    printf '{"name": "admin", "password": "%s", "tags": "administrator"}' "$password"
    for service in auth chat transfer storage gateway; do
        name=$(printf '%s' "$service" | tr '[:lower:]' '[:upper:]')
        eval "password=\$(json \"\$${name}_BROKER_PASSWORD\")"
        printf ',\n  {"name": "%s", "password": "%s", "tags": ""}' "$service" "$password"
    done
}

permission() { # USER CONFIGURE WRITE READ
    printf ',\n  {"user": "%s", "vhost": "/", "configure": "%s", "write": "%s", "read": "%s"}' "$@"
}

permissions() {
    printf '{"user": "admin", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}'
    # What all services declare, so that the first one may come first.
    exchanges='sharezync\\.(events|unrouted|ignored|realtime)'
    for service in auth chat transfer storage; do
        own="$service\\\\.events(\\\\..+)?"
        # Dead letters of a queue leave by the default exchange: whoever declares such a queue must
        # be allowed to write there.
        permission "$service" "^($exchanges|$own)\$" "^($exchanges|amq\\\\.default|$own)\$" \
            "^($exchanges|$own)\$"
    done
    frames="^($exchanges|sharezync\\\\.frames\\\\..+)\$"
    permission gateway "$frames" "$frames" "$frames"
}

topics() {
    comma=''
    for service in auth chat transfer storage; do
        printf '%s{"user": "%s", "vhost": "/", "exchange": "sharezync.events", ' "$comma" "$service"
        printf '"write": "^%s\\\\.", "read": ".*"}' "$service"
        comma=',
  '
    done
    # The gateway publishes no facts.
    printf '%s{"user": "gateway", "vhost": "/", "exchange": "sharezync.events", ' "$comma"
    printf '"write": "^$", "read": "^$"}'
}

mkdir -p "$folder/conf.d"
users=$(users) # by itself, so that what fails in it ends the script
policies=$(sed '1d;$d' "${0%/*}/policies.json")
printf '{"vhosts": [{"name": "/"}],\n"users": [%s],\n"permissions": [%s],\n"topic_permissions": [%s],\n%s}\n' \
    "$users" "$(permissions)" "$(topics)" "$policies" >"$folder/logins.json"
printf 'load_definitions = %s/logins.json\n' "$folder" >"$folder/conf.d/20-logins.conf"
if [ "$(id -u)" = 0 ] && id rabbitmq >/dev/null 2>&1; then
    chown rabbitmq "$folder/logins.json" "$folder/conf.d/20-logins.conf"
fi
exec "$@"

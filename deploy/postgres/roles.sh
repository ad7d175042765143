#!/bin/sh
# Run once, when the database is first made: for each service a schema, the role that owns it and
# migrates, and the role that the service works as, which may read and write rows. No way leads from
# one service to another's.
set -eu

role() {
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
        --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
        --set role="$1" --set password="$2" <<'END'
CREATE ROLE :"role" LOGIN PASSWORD :'password';
END
}

for service in auth chat transfer storage; do
    name=$(printf '%s' "$service" | tr '[:lower:]' '[:upper:]')
    eval "role $service \"\$${name}_DATABASE_PASSWORD\""
    eval "role ${service}_owner \"\$${name}_OWNER_DATABASE_PASSWORD\""
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
        --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
        --command "CREATE SCHEMA $service AUTHORIZATION ${service}_owner"
done
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --command 'REVOKE ALL ON SCHEMA public FROM PUBLIC'

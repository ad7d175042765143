#!/bin/sh
# Run once, when the database is first made: one role and one schema for each service, and no way
# from one to another's. The services' own migrations fill the schemas.
set -eu

for service in auth chat transfer storage; do
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
        --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
        --set role="$service" --set password="$SERVICE_DATABASE_PASSWORD" <<'END'
CREATE ROLE :"role" LOGIN PASSWORD :'password';
CREATE SCHEMA :"role" AUTHORIZATION :"role";
END
done
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --command 'REVOKE ALL ON SCHEMA public FROM PUBLIC'

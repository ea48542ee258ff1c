#!/bin/sh
# Creates the database cluster like the postgres image, with POSTGRES_PASSWORD, and starts the server. Runs any other
# command unchanged.
set -eu
socket=/var/run/postgresql
[ "${1:-}" = postgres ] || exec "$@"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  password=$(mktemp)
  printf '%s' "${POSTGRES_PASSWORD:?}" >"$password"
  initdb -D "$PGDATA" -U postgres --pwfile="$password" --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8
  rm "$password"
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
fi
exec "$@" -D "$PGDATA" -c listen_addresses='*' -c "unix_socket_directories=$socket"

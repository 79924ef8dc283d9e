#!/bin/sh
# The entrypoint of every Node service's image: waits for Postgres, sees to the migrations, becomes the command.
#
#   MIGRATE=run   applies the pending migrations, one replica at a time (the default)
#   MIGRATE=wait  waits until somebody else has applied them
#   MIGRATE=skip  neither
#
# Without DATABASE_URL there is nothing to wait for, and without a folder PRISMA_DIR nothing to migrate. DATABASE_CLI is
# where the image keeps the database commands. DATABASE_WAIT_SECONDS (60) bounds the wait for Postgres.
set -eu

check_migrate() {
  case $MIGRATE in
    run | wait | skip) ;;
    *)
      echo "MIGRATE is \"$MIGRATE\": it must be run, wait or skip" >&2
      exit 78 # EX_CONFIG
      ;;
  esac
}

# In the background, because a shell hears no signal while it waits for a command in the foreground.
database() {
  node "$DATABASE_CLI" "$@" &
  wait $!
}

stop() {
  kill "${!:-}" 2>/dev/null || true
  wait
  exit 0
}

# One process, since a Node.js that starts is what a start costs.
prepare() {
  verb=ready
  if [ -d "$PRISMA_DIR" ]; then
    case $MIGRATE in
      run) verb=migrate ;;
      wait) verb=await ;;
    esac
  fi
  database "$verb"
}

MIGRATE=${MIGRATE:-run}
check_migrate
if [ -n "${DATABASE_URL:-}${DATABASE_URL_FILE:-}" ]; then
  trap stop TERM INT
  prepare
fi
exec "$@"

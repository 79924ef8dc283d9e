# Sourced by the verbs that work on a running stack. Which one runs, that of Compose or the native one of `npm start`,
# and how its database is reached. Expects the root of the repository as the working directory.
# shellcheck shell=sh

native_file=${DATA_DIR:-.data}/stack.json

usage() {
  sed -n '2,/^set /s/^# \{0,1\}//p' "scripts/${0##*/}"
}

fail() {
  echo "$1" >&2
  exit 1
}

compose_runs() {
  [ -n "$(docker compose ps --quiet --status running 2>/dev/null)" ]
}

native_runs() {
  [ -r "$native_file" ] && kill -0 "$(native_pid)" 2>/dev/null
}

native_pid() {
  grep -o '"pid": *[0-9]*' "$native_file" | sed -n '1s/.*[^0-9]//p'
}

# running_stack [--compose|--native]: prints compose or native, the one that is asked for or else the one that runs.
running_stack() {
  running=''
  if compose_runs; then running=compose; fi
  if native_runs; then running=${running}native; fi
  case "$running:${1:-}" in
    compose*:--compose | compose:) echo compose ;;
    *native:--native | native:) echo native ;;
    *:--compose) fail 'The Compose stack does not run here. Start it: docker compose up' ;;
    *:--native) fail 'The native stack does not run here. Start it: npm start' ;;
    composenative:) fail 'Both the Compose stack and the native one run here: say which, with --compose or --native.' ;;
    *) fail 'No stack runs here. Start one: docker compose up, or npm start' ;;
  esac
}

# native_database NAME: the database URL of a service in the native stack; postgres is the superuser's.
native_database() {
  url=$(grep -o "\"$1\": *\"postgres[^\"]*\"" "$native_file" | sed 's/^[^:]*: *"//; s/"$//')
  [ "$url" ] || fail "$1 has no database in the native stack."
  echo "$url"
}

# services_with PATH: the names of the services that have it in their folder.
services_with() {
  for found in services/*/"$1"; do
    [ -e "$found" ] || continue
    found=${found#services/}
    echo "${found%%/*}"
  done
}

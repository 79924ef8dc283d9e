# Sourced by the verbs that work on a running stack. Which one runs, that of Compose or the native one of `npm start`,
# and how its database is reached. With STACK=production in the environment: that stack, as scripts/setup made it. Expects
# the root of the repository as the working directory.
# shellcheck shell=sh

# As npm start finds it: in the environment, or else in .env.
data_dir=${DATA_DIR-$(sed -n "s/^ *DATA_DIR *= *[\"']\{0,1\}\([^\"'#]*[^\"'# ]\).*/\1/p" .env 2>/dev/null | tail -n 1)}
native_file=${data_dir:-.data}/stack.json

usage() {
  sed -n '2,/^set /s/^# \{0,1\}//p' "scripts/${0##*/}"
}

fail() {
  echo "$1" >&2
  exit 1
}

if [ "${STACK:-}" ]; then
  [ -e ".env.$STACK" ] || fail "There is no .env.$STACK here: scripts/setup $STACK makes it."
  export COMPOSE_ENV_FILES=".env.$STACK"
fi

compose_runs() {
  [ -n "$(docker compose ps --quiet --status running 2>/dev/null)" ]
}

native_runs() {
  [ -r "$native_file" ] || return 1
  pid=$(recorded pid)
  since=$(started "${pid:-0}")
  [ "$since" ] && [ "$since" = "$(recorded started)" ]
}

# recorded NAME: what the file says of the stack's own process, which stands first in it.
recorded() {
  grep -o "\"$1\": *\"\{0,1\}[^\",]*" "$native_file" | sed -n '1s/^[^:]*: *"\{0,1\}//p'
}

# started PID: in the words that npm start records. A process id that is used again has others.
started() {
  if [ -r "/proc/$1/stat" ]; then
    sed 's/.*) //' "/proc/$1/stat" | cut -d ' ' -f 20
  else
    ps -o lstart= -p "$1" 2>/dev/null | sed 's/^ *//; s/ *$//'
  fi
}

# running_stack [--compose|--native]: prints compose or native, the one that is asked for or else the one that runs.
running_stack() {
  running=''
  if compose_runs; then running=compose; fi
  if native_runs; then running=${running}native; fi
  if [ "${STACK:-}" ] && [ "${1:-}" != --native ]; then
    [ "${running%native}" ] || fail "The stack $STACK does not run here."
    set -- --compose
  fi
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

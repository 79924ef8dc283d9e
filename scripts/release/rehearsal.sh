# Sourced by what brings a release to a stack: tries it on a copy of the data before anybody depends on it. Its migrations are
# applied there, its images are started, and then the release that runs, which has to live with the new schema: between the
# migrations and the last replaced container, and after a rollback.
# shellcheck shell=bash

rehearsal() { # rehearsal TAG COMPOSE-ARGUMENT…
  # A smoke test makes its own tokens: it publishes its keys in the container of the API that it asks.
  AUTH_JWKS_URL=http://127.0.0.1:3999/jwks.json IMAGE_TAG=$1 REHEARSED=$project COMPOSE_PROJECT_NAME=$project-rehearsal \
    COMPOSE_FILE=$files:scripts/release/rehearsal.yml:$work/yielding.yml docker compose "${@:2}"
}

# Where there are not enough processors for all, the stack goes first: a container has 1024 shares of them. Nobody is there
# for whom an API would have to warm up.
write_yielding() {
  awk 'BEGIN { print "services:" } { print "  " $1 ": { cpu_shares: 32, environment: { WARM_UP_REQUESTS: 0 } }" }' "$work/services" - <<<provision >"$work/yielding.yml"
}

# Sets migrates where the release changes the schema.
rehearse() {
  local running='' service
  # What the log speaks of may have been ended since.
  [[ ! $(running_tags) ]] || running=$(running_release)
  begin_rehearsal
  migrates=yes
  [[ ! $running ]] || schema_in_rehearsal >"$work/schema"
  say "rehearsal: the migrations of $tag"
  one_shots rehearsal "$tag"
  forget_jobs
  say "rehearsal: $tag starts"
  # shellcheck disable=SC2046
  start_in_rehearsal "$tag" $(rolled)
  expect 'smoke test failed' '' smoke "$tag"
  if [[ $running ]] && cmp -s "$work/schema" <(schema_in_rehearsal); then
    say "rehearsal: $tag leaves the schema as it is, with which $running runs"
    migrates=''
  elif [[ $running ]]; then
    say "rehearsal: $running, which runs, with the schema of $tag"
    # shellcheck disable=SC2046
    expect incompatible "$running, which runs, could not live with the schema of $tag: " try_schema "$running" \
      $(for service in $(acting); do [[ ! $(running "$service") ]] || echo "$service"; done)
  fi
  end_rehearsal
}

# A release to which the stack is to go back, with the schema that is there.
rehearse_back() {
  begin_rehearsal
  forget_jobs
  say "rehearsal: $tag with the schema that is there"
  # shellcheck disable=SC2046
  expect incompatible "$tag could not live with the schema that is there (--allow-incompatible \"REASON\" goes back all the same): " \
    try_schema "$tag" $(acting)
  end_rehearsal
}

begin_rehearsal() {
  rehearsing=yes
  write_yielding
  remove_rehearsal
  copy_database
}

end_rehearsal() {
  remove_rehearsal
  rehearsing=''
}

# They are done by the stack itself.
forget_jobs() {
  in_rehearsal psql --command='DELETE FROM graphile_worker._private_jobs' >/dev/null
}

# Its own Postgres, with what the stack's holds.
copy_database() {
  if [[ ! $(running postgres) ]]; then
    say 'rehearsal: on an empty database, since there is none yet'
    start_database
  elif has_backup; then
    say 'rehearsal: on the newest verified backup'
    make_volume postgres "$project-rehearsal"
    aloud restore_to "$project-rehearsal_postgres" prepare || fail "No backup can be restored: $complaint"
    restore_to "$project-rehearsal_postgres" swap
    start_database
  else
    say 'rehearsal: on a dump of the database, since there is no verified backup'
    start_database
    copy_dump || fail 'The database could not be copied: the reason is above.'
  fi
}

start_database() {
  quietly rehearsal "$tag" up --detach --no-deps postgres || fail "The rehearsal has no database: $complaint"
  await_healthy "$(rehearsed postgres)" 'The database of the rehearsal'
}

copy_dump() {
  local postgres
  postgres=$(running postgres)
  {
    docker exec "$postgres" pg_dumpall --username=postgres --roles-only | grep -v '^CREATE ROLE postgres;' &&
      docker exec "$postgres" pg_dump --username=postgres keelson
  } | in_rehearsal psql --single-transaction >/dev/null
}

# What a migration or provision changes, and which migrations there were: one may change rows alone.
schema_in_rehearsal() {
  local dump=(docker exec "$(rehearsed postgres)" pg_dump --username=postgres keelson)
  {
    "${dump[@]}" --schema-only
    "${dump[@]}" --data-only --table='*._prisma_migrations' 2>/dev/null || true # Where there is none yet.
  } | sed '/^\\\(un\)\{0,1\}restrict /d'
}

in_rehearsal() { # in_rehearsal psql ARGUMENT…
  docker exec --interactive --env PGOPTIONS=--client-min-messages=warning "$(rehearsed postgres)" "$1" --username=postgres \
    --dbname=keelson --no-psqlrc --quiet --set=ON_ERROR_STOP=1 "${@:2}"
}

rehearsed() { # rehearsed SERVICE: the id of its container
  docker ps --all --quiet --filter "label=com.docker.compose.project=$project-rehearsal" \
    --filter "label=com.docker.compose.service=$1" --filter label=com.docker.compose.oneoff=False
}

start_in_rehearsal() { # start_in_rehearsal TAG SERVICE…
  local service scales=()
  for service in "${@:2}"; do scales+=(--scale "$service=1"); done
  quietly rehearsal "$1" up --no-start --no-deps "${scales[@]}" "${@:2}" || fail "$1 cannot be started: $complaint"
  # All at once, where Compose would wait for those that others depend on.
  # shellcheck disable=SC2046
  quietly docker start $(for service in "${@:2}"; do rehearsed "$service"; done) || fail "$1 cannot be started: $complaint"
  for service in "${@:2}"; do await_healthy "$(rehearsed "$service")" "$service $1"; done
}

# A smoke test is in the image of its API, and uses every table of it.
smoke() { # smoke TAG
  local service id
  for service in $(rolled); do
    [[ $(kind_of "$service") == api ]] || continue
    id=$(rehearsed "$service")
    [[ $id ]] || continue
    if ! docker exec "$id" test -e smoke.mjs; then
      say "rehearsal: $service $1 has no smoke test, and was only started"
    elif ! silently docker exec "$id" node smoke.mjs; then
      give_up "$id" "$service $1 fails its smoke test: $complaint"
    fi
  done
}

# APIs and workers, which depend on the schema.
acting() {
  local service
  for service in $(rolled); do
    [[ ! $(kind_of "$service") ]] || echo "$service"
  done
}

# In the place of those that were started before.
try_schema() { # try_schema TAG SERVICE…
  local before
  before=$(for service in $(rolled); do rehearsed "$service"; done)
  # shellcheck disable=SC2086
  [[ ! $before ]] || docker rm --force $before >/dev/null
  start_in_rehearsal "$@"
  smoke "$1"
}

# What fails here refuses the release, unless there is a reason to go on.
expect() { # expect NOTE BEGINNING-OF-SENTENCE COMMAND…
  local status=0 sentence
  ("${@:3}") || status=$?
  ((status != 0)) || return 0
  sentence=$2$(cat "$work/reason")
  [[ $allowed ]] || fail "$sentence"
  rm "$work/reason"
  say "$sentence"
  say "goes on all the same: $allowed"
  note="${note:+$note; }$1: $allowed"
}

remove_rehearsal() {
  quietly rehearsal "$tag" down --volumes --remove-orphans --timeout 0 || fail "The rehearsal cannot be removed: $complaint"
}

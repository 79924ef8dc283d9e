# Sourced by what takes a backup or restores one: reaches the backups of the stack.
# shellcheck shell=bash

take_backup() {
  aloud docker exec "$(backup_service)" backup take || fail "The backup failed: $complaint"
}

# In handing over there are two for a moment.
backup_service() {
  running backup | tail -n 1
}

# What the image does with the backups, where no service need run.
on_backups() { # on_backups COMMAND DOCKER-OPTION… [-- ARGUMENT…]
  local command=$1 options=() memory cpus
  shift
  while (($#)) && [[ $1 != -- ]]; do options+=("$1") && shift; done
  memory=$(setting BACKUP_MEMORY) cpus=$(setting BACKUP_CPUS)
  docker run "${CONFINED[@]}" --memory "${memory:-256m}" --cpus "${cpus:-1}" --cpu-shares 128 \
    --tmpfs /tmp:size=64m,nosuid,nodev,noexec --tmpfs /var/lib/postgresql:size=1m --label "keelson.deploy=$project" \
    --volume "${project}_backups:/backups:ro" "${options[@]}" "$registry/backup:$tag" "$command" "${@:2}"
}

# restore_to VOLUME prepare|swap [ARGUMENT…]: in a database's volume. What is compared with the database that runs can do
# everything there.
restore_to() {
  local socket=()
  [[ " $* " != *' --compare '* ]] || socket=(--volume "${project}_postgres-socket:/run/postgresql")
  on_backups "$2" --shm-size 128m "${socket[@]}" --volume "$1:/target" -- "${@:3}"
}

list_backups() {
  make_volume backups "$project"
  on_backups list
}

has_backup() {
  [[ $(list_backups) ]]
}

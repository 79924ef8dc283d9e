# Sourced by what takes a backup or restores one: reaches the backup service of the stack.
# shellcheck shell=bash

# Before a release changes the schema, unless there is a reason not to.
back_up() {
  if [[ $unsaved ]]; then
    say "no backup: $unsaved"
    note="${note:+$note; }no backup: $unsaved"
  else
    start_backup_service
    say 'backup'
    take_backup
  fi
}

take_backup() {
  aloud docker exec "$(backup_service)" backup take || fail "The backup failed: $complaint"
}

# In handing over there are two for a moment.
backup_service() {
  running backup | tail -n 1
}

# Where there is a database, but no backup service yet or any more, one of this release starts.
start_backup_service() {
  [[ ! $(backup_service) ]] || return 0
  say 'backup: starts'
  quietly release "$tag" up --detach --no-deps backup || fail "backup $tag cannot be started: $complaint"
  await_healthy "$(backup_service)" "backup $tag"
}

# in_backups VOLUME COMMAND…: what the image does with the backups and with a database's volume, where no service need run
in_backups() {
  docker run --rm --network none --read-only --cap-drop ALL --security-opt no-new-privileges --shm-size 128m \
    --tmpfs /tmp:size=64m,nosuid,nodev,noexec --tmpfs /var/lib/postgresql:size=1m --label "keelson.deploy=$project" \
    --volume "${project}_backups:/backups:ro" --volume "${project}_postgres-socket:/run/postgresql" --volume "$1:/target" \
    "$registry/backup:$tag" "${@:2}"
}

list_backups() {
  make_volume backups "$project"
  docker run --rm --network none --read-only --volume "${project}_backups:/backups:ro" --tmpfs /var/lib/postgresql:size=1m \
    "$registry/backup:$tag" list
}

has_backup() {
  [[ $(list_backups) ]]
}

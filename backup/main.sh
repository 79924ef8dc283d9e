#!/usr/bin/env bash
# Usage: backup stream                 streams the write-ahead log, and takes a backup when one is due
#        backup take                   takes one now, and verifies it
#        backup list                   those that are there
#        backup healthy                whether the log streams, and the last backup that was due was taken
#        backup prepare [--backup ID] [--to TIME] [--compare]
#                                      restores to /target/18/restored, beside what is there
#        backup swap                   puts that in the place of /target/18/docker
#        backup media ID               puts back the media files that are missing
#
# In /backups, a folder for each *chain*: what one replication slot has streamed, in wal/, and the backups that were taken
# meanwhile, each in a folder by its time. A backup is there only when it was verified; until then it is in new/.
# A database that was restored has no slot, so it begins a chain of its own.
#
# BACKUP_EVERY_HOURS (24): how often one is due; 0 is never. BACKUP_KEEP_DAYS (7): how long it is kept. BACKUP_SYNCHRONOUS
# (off): with on, a write is acknowledged only when the stream has it.
set -euo pipefail
shopt -s nullglob

library=/usr/local/lib/backup
for part in database stream take restore; do
  # shellcheck source=/dev/null
  . "$library/$part.sh"
done

# shellcheck disable=SC2034 # the parts use it
BACKUPS=/backups
# shellcheck disable=SC2034
SEGMENT_BYTES=$((16 * 1024 * 1024))
export PGUSER=postgres PGHOST=/run/postgresql PGDATABASE=keelson TZ=UTC PGTZ=UTC PGCONNECT_TIMEOUT=5

say() { # say SENTENCE
  printf '%s\n' "$*"
}

fail() { # fail SENTENCE
  say "$*" >&2
  exit 1
}

verb=${1:-}
[[ $# -eq 0 ]] || shift
case $verb in
  stream | take | list | healthy | prepare | swap | media) "$verb" "$@" ;;
  *) sed -n '2,/^set /s/^# \{0,1\}//p' "$library/main.sh" >&2 && exit 64 ;;
esac

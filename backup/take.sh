# Sourced by main.sh: takes a backup, which counts once it was restored and compared.
# shellcheck shell=bash

# What went wrong is known to the health check until the next one goes well. It is no concern of a container that takes this
# one's place.
take() {
  exec 8>"$BACKUPS/lock"
  flock --nonblock 8 || { say 'waits for the one that is being taken' && flock 8; }
  clear_away
  set +e
  (set -e && take_and_verify) 2>/tmp/complaint
  local status=$?
  set -e
  clear_away
  if ((status != 0)); then
    cat /tmp/complaint >&2
    mv /tmp/complaint /tmp/failed
    exit 1
  fi
  rm -f /tmp/complaint /tmp/failed
  prune
}

clear_away() {
  rm -rf "$BACKUPS/new" "$BACKUPS"/scratch*
}

take_and_verify() {
  local chain id new=$BACKUPS/new point
  is_up || fail 'The database does not answer.'
  chain=$(streaming_chain)
  [[ $chain && -d $BACKUPS/$chain/wal ]] || fail 'The write-ahead log does not stream: docker compose logs backup says why.'
  id=$(date -u +%Y%m%dT%H%M%SZ)
  mkdir "$new"

  say "base backup $id"
  base_backup "$new" "$id"
  say 'what every table holds'
  point=$(measure_at "$id" "$new/tables")
  await_stream "$point"
  copy_media "$new"

  say 'restored into a scratch server, and compared'
  check_files "$new"
  restore_into "$BACKUPS/scratch" "$new" "$BACKUPS/$chain/wal" recovery_target_name="$id" recovery_target_timeline=current ||
    fail "The backup cannot be restored: $(complaint_of "$BACKUPS/scratch.log")"
  PGHOST=/tmp measure >"$BACKUPS/scratch.tables"
  stop_scratch
  cmp --silent "$new/tables" "$BACKUPS/scratch.tables" ||
    fail "The backup differs: $(diff "$new/tables" "$BACKUPS/scratch.tables" | sed -n 's/^[<>] //p' | head -n 2 | paste --serial --delimiters=';')"
  compare_media "$new"

  sync --file-system "$new"
  mv "$new" "$BACKUPS/$chain/$id"
  say "$id is verified: $(lines_of "$BACKUPS/$chain/$id/tables") tables, $(size_of "$BACKUPS/$chain/$id")."
}

base_backup() { # base_backup FOLDER LABEL
  local complaint
  complaint=$(pg_basebackup --pgdata="$1/base" --format=tar --compress=client-gzip:1 --checkpoint=fast --wal-method=stream \
    --label="$2" 2>&1) || fail "pg_basebackup failed: $(tail -n 1 <<<"$complaint" | sed 's/^pg_basebackup: error: //')"
}

await_stream() { # await_stream LSN
  local until=$((SECONDS + 60))
  until [[ $(query "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'backup' AND flush_lsn >= '$1'") == [1-9]* ]]; do
    ((SECONDS < until)) || fail 'The write-ahead log has not come within 60 s.'
    sleep 0.1
  done
}

# Files of which the database speaks are there before it does, hence after it. Whatever is not yet whole is left out.
copy_media() { # copy_media FOLDER
  (cd /media && find . -type f ! -name '*.part' -print0 | sort -z | xargs -0 -r sha256sum) >"$1/media.sha256" &&
    sed 's/^[^ ]* .//' "$1/media.sha256" | tar --create --gzip --file "$1/media.tar.gz" --directory /media --verbatim-files-from --files-from - ||
    fail 'The media files cannot be read: the reason is above.'
}

compare_media() { # compare_media FOLDER
  mkdir "$BACKUPS/scratch-media"
  tar --extract --file "$1/media.tar.gz" --directory "$BACKUPS/scratch-media"
  [[ ! -s $1/media.sha256 ]] || (cd "$BACKUPS/scratch-media" && sha256sum --quiet --check "$1/media.sha256") ||
    fail 'The media files differ from their copies: the reason is above.'
}

# Those of a chain, or of all, the oldest first.
verified() { # verified [CHAIN]
  local folder
  # shellcheck disable=SC2231 # unquoted, because what stands for all of them is a pattern
  for folder in "$BACKUPS"/${1:-backup_*}/[0-9]*Z; do echo "${folder##*/} $folder"; done | sort | sed 's/^[^ ]* //'
}

seconds_of() { # seconds_of ID
  date -u -d "$(sed 's/\(....\)\(..\)\(..\)T\(..\)\(..\)\(..\)Z/\1-\2-\3 \4:\5:\6/' <<<"$1")" +%s
}

size_of() {
  du --summarize --human-readable "$1" | cut -f 1
}

lines_of() {
  wc -l <"$1"
}

list() {
  local folder
  for folder in $(verified); do
    printf '%s  verified  %6s  %s rows in %s tables\n' "${folder##*/}" "$(size_of "$folder")" \
      "$(awk -F '|' '{ rows += $2 } END { print rows + 0 }' "$folder/tables")" "$(lines_of "$folder/tables")"
  done
}

# The newest stays, however old it is. The write-ahead log goes back as far as the oldest backup that is left needs.
prune() {
  local folder chain newest oldest
  newest=$(verified | tail -n 1)
  for folder in $(verified); do
    if [[ $folder != "$newest" ]] && (($(date +%s) - $(seconds_of "${folder##*/}") > ${BACKUP_KEEP_DAYS:-7} * 86400)); then
      rm -rf "$folder"
      say "${folder##*/} is over ${BACKUP_KEEP_DAYS:-7} days old: removed"
    fi
  done
  for chain in "$BACKUPS"/backup_*; do
    oldest=$(verified "${chain##*/}" | head -n 1)
    if [[ $oldest ]]; then
      pg_archivecleanup "$chain/wal" "$(first_segment "$oldest")"
    elif [[ ${newest%/*} > $chain ]]; then
      rm -rf "$chain"
    fi
  done
}

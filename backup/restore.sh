# Sourced by main.sh: restores a backup beside the database, and puts it in its place.
# shellcheck shell=bash

TARGET=/target/18

# Restores what is asked for, starts it, and says what it is. Nothing that is there is touched.
prepare() { # prepare [--backup ID] [--to TIME] [--compare]
  local id='' to='' compares='' backup wal settings=()
  while (($#)); do
    case $1 in
      --backup) id=$2 && shift ;;
      --to) to=$2 && shift ;;
      --compare) compares=yes ;;
      *) fail "$1 is no option of prepare." ;;
    esac
    shift
  done
  [[ ! $to ]] || to=$(read_time "$to")
  backup=$(choose "$id" "$to")
  wal=${backup%/*}/wal
  say "backup ${backup##*/}: its files"
  check_files "$backup"
  check_segments "$backup" "$wal"
  check_space "$backup"
  [[ ! $to ]] || settings+=("recovery_target_time=$(date -u -d "@$to" '+%Y-%m-%d %H:%M:%S.%N+00')")

  say "backup ${backup##*/}: restored and recovered"
  mkdir -p "$TARGET"
  rm -rf "$TARGET"/restored*
  recover "$TARGET/restored" "$backup" "$wal" "${settings[@]}"
  PGHOST=/tmp query 'ALTER SYSTEM RESET synchronous_standby_names'
  say_age "$backup"
  [[ ! $compares ]] || compare_rows
  stop_scratch
  initdb --sync-only --pgdata="$TARGET/restored" >/dev/null 2>&1
}

# A time after the last transaction cannot be reached, and need not be: what there is is from before it.
recover() { # recover FOLDER BACKUP WAL-FOLDER [SETTING…]
  local status=0
  restore_into "$@" || status=$?
  if ((status != 0 && $# > 3)) && grep -q 'recovery ended before configured recovery target was reached' "$1.log"; then
    rm -rf "$1"
    recover "$1" "$2" "$3"
    return
  fi
  ((status == 0)) || fail "The backup ${2##*/} cannot be restored: $(complaint_of "$1.log")"
  (($# > 3)) || check_end "$1.log" "$3"
}

restore_into() { # restore_into FOLDER BACKUP WAL-FOLDER [SETTING…]
  mkdir --mode=0700 "$1"
  tar --extract --gzip --file "$2/base/base.tar.gz" --directory "$1" &&
    tar --extract --gzip --file "$2/base/pg_wal.tar.gz" --directory "$1/pg_wal" &&
    start_scratch "$1" "${@:3}"
}

# Moves what was there aside: nothing is lost until somebody removes it.
swap() {
  local aside
  [[ -e $TARGET/restored/PG_VERSION ]] || fail 'Nothing was restored that could take the place of the database.'
  if [[ -e $TARGET/docker ]]; then
    aside=$TARGET/before-$(date -u +%Y%m%dT%H%M%SZ)
    mv "$TARGET/docker" "$aside"
    say "${aside##*/}"
  fi
  mv "$TARGET/restored" "$TARGET/docker"
  rm -f "$TARGET"/restored.*
}

# Files that are there are as good as their copies: a file is written once.
media() { # media ID
  local backup
  backup=$(choose "$1" '')
  tar --extract --gzip --file "$backup/media.tar.gz" --directory /media --skip-old-files --no-same-owner
}

read_time() { # read_time TIME: as seconds since 1970, of UTC unless it says otherwise
  local seconds
  seconds=$(date -u -d "$1" +%s.%N 2>/dev/null) || fail "--to takes a time such as 2026-01-31T12:00:00Z, not $1."
  [[ ${seconds%.*} -le $(date +%s) ]] || fail "$1 is in the future."
  echo "$seconds"
}

# The newest, or the newest that is older than a time.
choose() { # choose ID SECONDS
  local folder chosen=''
  for folder in $(verified); do
    [[ ! $1 || ${folder##*/} == "$1" ]] || continue
    [[ ! $2 || $(stat --format %Y "$folder/tables") -le ${2%.*} ]] || continue
    chosen=$folder
  done
  [[ $chosen ]] || fail "There is no verified backup${1:+ $1}${2:+ from before that time}: scripts/backup --list says which there are."
  echo "$chosen"
}

check_files() { # check_files BACKUP
  local complaint
  complaint=$(pg_verifybackup --quiet --exit-on-error --no-parse-wal --format=tar "$1/base" 2>&1) &&
    complaint=$(gzip --test "$1/base/pg_wal.tar.gz" "$1/media.tar.gz" 2>&1) ||
    fail "The backup ${1##*/} is damaged: $(tail -n 1 <<<"$complaint"). --backup names another one."
}

# One after the other, each whole. The last may be one that is still being written.
check_segments() { # check_segments BACKUP WAL-FOLDER
  local segment first expected=''
  first=$(first_segment "$1")
  for segment in $(segments "$2"); do
    [[ ! $segment < $first ]] || continue
    [[ ! $expected || $segment == "$expected" ]] || fail "The write-ahead log has a gap: $expected is missing in $2. --to names a time before it."
    [[ -e $2/$segment.partial || $(stat --format %s "$2/$segment") == "$SEGMENT_BYTES" ]] || fail "The write-ahead log is damaged: $2/$segment is cut short."
    expected=$(next_segment "$segment")
  done
}

segments() { # segments WAL-FOLDER: their names, in order
  local file
  for file in "$1"/[0-9A-F]*; do
    file=${file##*/}
    [[ ${file%.partial} =~ ^[0-9A-F]{24}$ ]] && echo "${file%.partial}"
  done | sort -u
}

# Of 16 MB, as PostgreSQL names them: timeline, and the two halves of the number.
segment_name() { # segment_name TIMELINE NUMBER
  printf '%08X%08X%08X\n' "$1" $(($2 / 256)) $(($2 % 256))
}

next_segment() { # next_segment SEGMENT
  segment_name $((16#${1:0:8})) $((16#${1:8:8} * 256 + 16#${1:16:8} + 1))
}

# Where the backup begins, by its manifest.
first_segment() { # first_segment BACKUP
  local timeline high low
  IFS='|' read -r timeline high low < <(sed -n 's|.*"Timeline": *\([0-9]*\), *"Start-LSN": *"\([0-9A-F]*\)/\([0-9A-F]*\)".*|\1\|\2\|\3|p' "$1/base/backup_manifest" | head -n 1)
  segment_name "$timeline" $((16#$high * 256 + 16#$low / SEGMENT_BYTES))
}

# What is in the archive is in what was restored: recovery ends early, and says nothing, where the log is damaged.
check_end() { # check_end LOG WAL-FOLDER
  local reached last
  reached=$(sed -n 's|.*redo done at \([0-9A-F]*/[0-9A-F]*\) .*|\1|p' "$1" | tail -n 1)
  [[ $reached ]] || return 0
  last=$(segments "$2" | tail -n 1)
  reached=$(segment_name $((16#${last:0:8})) $((16#${reached%/*} * 256 + 16#${reached#*/} / SEGMENT_BYTES)))
  # The last one may hold nothing yet.
  [[ $reached == "$last" || $(next_segment "$reached") == "$last" ]] ||
    fail "The write-ahead log is damaged: recovery ended in $reached, and there is more up to $last. --to names a time before it."
}

check_space() { # check_space BACKUP
  local needed free
  needed=$(grep -o '"Size": *[0-9]*' "$1/base/backup_manifest" | awk '{ sum += $2 } END { printf "%d", sum / 1048576 + 256 }')
  free=$(df --output=avail --block-size=1M /target | tail -n 1)
  ((free >= needed)) || fail "The volume of the database has $free MB left, and what is restored needs $needed MB beside what is there."
}

complaint_of() { # complaint_of LOG
  sed -n 's/.*\(FATAL\|PANIC\): *//p' "$1" | tail -n 1
}

say_age() { # say_age BACKUP
  local last
  last=$(last_transaction "$TARGET/restored.log")
  if [[ $last ]]; then
    say "The last transaction in it is of $last, $(($(date +%s) - $(date -d "$last" +%s))) s ago."
  else
    say "Its last transaction is one of the backup ${1##*/} itself."
  fi
}

# What would be lost, or come back.
compare_rows() {
  if is_up; then
    PGHOST=/tmp measure | cut -d '|' -f 1,2 >"$TARGET/restored.rows"
    measure | cut -d '|' -f 1,2 | awk -F '|' -v then="$TARGET/restored.rows" '
      BEGIN { while ((getline <then) > 0) rows[$1] = $2 }
      $2 != rows[$1] { print $1 ": " $2 " rows now, " rows[$1] + 0 " then"; some = 1 }
      END { if (!some) print "Every table has as many rows as now." }
    '
  else
    say 'The database does not answer: what it holds now is not known.'
  fi
}

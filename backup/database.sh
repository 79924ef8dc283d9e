# Sourced by main.sh: asks a database, the stack's or a restored one.
# shellcheck shell=bash

sql() { # sql: runs what it reads, and prints rows as lines with | between columns
  psql --no-psqlrc --no-align --tuples-only --quiet --set=ON_ERROR_STOP=1
}

query() { # query STATEMENT
  sql <<<"$1"
}

is_up() {
  query 'SELECT 1' >/dev/null 2>&1
}

# Every table that lasts.
TABLES="
  pg_class JOIN pg_namespace n ON n.oid = relnamespace
  WHERE relkind = 'r' AND relpersistence = 'p' AND nspname !~ '^pg_' AND nspname <> 'information_schema'"

# How many rows each has, and a checksum that does not depend on their order.
MEASURE="
  SELECT format('SELECT %L, count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM ONLY %I.%I t',
    nspname || '.' || relname, nspname, relname)
  FROM $TABLES ORDER BY nspname, relname \\gexec"

LOCK="SELECT 'LOCK TABLE ' || string_agg(format('ONLY %I.%I', nspname, relname), ', ') || ' IN SHARE MODE;' FROM $TABLES"

measure() {
  sql <<<"$MEASURE"
}

# Marks a point of the write-ahead log, prints where that is, and writes to FILE what every table holds at just that point.
# While it is marked, nobody may be writing; the locks end at once, the snapshot that was taken with it stays.
measure_at() { # measure_at NAME FILE
  local attempt lock
  for ((attempt = 1; attempt <= 60; attempt++)); do
    lock=$(query "$LOCK")
    if sql >"$2.new" 2>"$2.complaint" <<EOT; then
BEGIN ISOLATION LEVEL REPEATABLE READ;
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = '200ms';
SAVEPOINT unlocked;
$lock
SELECT 'point', pg_create_restore_point('$1');
ROLLBACK TO SAVEPOINT unlocked;
$MEASURE
COMMIT;
EOT
      sed -n 's/^point|//p' "$2.new"
      sed '/^point|/d' "$2.new" >"$2"
      rm "$2.new" "$2.complaint"
      return
    fi
    grep -q 'lock timeout\|does not exist' "$2.complaint" || break
    sleep 1 # somebody writes for long: that goes first
  done
  fail "The tables cannot be measured: $(tail -n 1 "$2.complaint")"
}

scratch=''

# A server of the folder, for this process alone, which recovers what the folder of the write-ahead log has, up to where a
# SETTING says. It can be asked once it is there.
start_scratch() { # start_scratch FOLDER WAL-FOLDER [SETTING…]
  local arguments=() setting
  for setting in "restore_command=cp $2/%f %p 2>/dev/null || cp $2/%f.partial %p 2>/dev/null" "${@:3}" \
    recovery_target_action=promote hot_standby=off hba_file="$1.hba" listen_addresses= unix_socket_directories=/tmp \
    shared_buffers=64MB fsync=off full_page_writes=off log_destination=stderr logging_collector=off lc_messages=C; do
    arguments+=(-c "$setting")
  done
  echo 'local all all trust' >"$1.hba"
  touch "$1/recovery.signal"
  trap stop_scratch EXIT
  postgres -D "$1" "${arguments[@]}" >"$1.log" 2>&1 &
  scratch=$!
  until PGHOST=/tmp is_up; do
    kill -0 "$scratch" 2>/dev/null || return 1
    sleep 0.2
  done
}

stop_scratch() {
  [[ $scratch ]] || return 0
  kill -INT "$scratch" 2>/dev/null || true
  wait "$scratch" || true
  scratch=''
}

# The last one that recovery came to, as its server said it.
last_transaction() { # last_transaction LOG
  sed -n 's/.*last completed transaction was at log time //p' "$1" | tail -n 1
}

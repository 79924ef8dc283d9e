# Sourced by main.sh: streams the write-ahead log, and takes backups when they are due.
# shellcheck shell=bash

stream() {
  local chain
  [[ ${BACKUP_EVERY_HOURS:=24} =~ ^[0-9]{1,4}$ ]] || fail "BACKUP_EVERY_HOURS is \"$BACKUP_EVERY_HOURS\": it must be a number of hours."
  [[ ${BACKUP_KEEP_DAYS:=7} =~ ^[1-9][0-9]{0,3}$ ]] || fail "BACKUP_KEEP_DAYS is \"$BACKUP_KEEP_DAYS\": it must be a number of days, at least 1."
  [[ ${BACKUP_SYNCHRONOUS:=off} =~ ^(on|off)$ ]] || fail "BACKUP_SYNCHRONOUS is \"$BACKUP_SYNCHRONOUS\": it must be on or off."
  trap 'trap - TERM; kill $(jobs -p) 2>/dev/null; wait; exit 0' TERM INT
  watch_over &
  while :; do
    if chain=$(current_chain); then
      mkdir -p "$BACKUPS/$chain/wal"
      receive "$chain"
    fi
    nap 0.3
  done
}

noted=''

# One process has the slot. While a container takes another's place, the new one waits here until the old has ended.
receive() { # receive CHAIN
  local complaint
  pg_receivewal --dbname=application_name=backup --slot="$1" --directory="$BACKUPS/$1/wal" --synchronous --no-loop \
    2>/tmp/receive &
  wait $! && return
  complaint=$(sed -n 's/^pg_receivewal: error: //p' /tmp/receive | head -n 1)
  [[ $complaint == *'is active for PID'* || $complaint == "$noted" ]] || note warn "The stream has ended: $complaint"
  noted=$complaint
}

# In the background, so that the shell hears a signal.
nap() { # nap SECONDS
  sleep "$1" &
  wait $!
}

# The slot of this database, made if there is none. One that has fallen so far behind that the server took away what it
# needed leaves a gap: a new chain begins.
current_chain() {
  local slots slot status
  slots=$(query "SELECT slot_name, wal_status FROM pg_replication_slots WHERE slot_name LIKE 'backup\\_%' AND slot_type = 'physical'" 2>/dev/null) || return
  while IFS='|' read -r slot status; do
    [[ $slot ]] || continue
    if [[ $status != lost ]]; then
      echo "$slot"
      return
    fi
    note warn "The chain $slot has a gap: a new one begins."
    query "SELECT pg_drop_replication_slot('$slot')" >/dev/null
  done <<<"$slots"
  slot=backup_$(date -u +%Y%m%dt%H%M%Sz)
  query "SELECT pg_create_physical_replication_slot('$slot', true)" >/dev/null || return
  note info "The chain $slot begins."
  echo "$slot"
}

# The chain that grows now, if there is one.
streaming_chain() {
  query "SELECT slot_name FROM pg_replication_slots JOIN pg_stat_replication ON pid = active_pid
    WHERE slot_name LIKE 'backup\\_%' AND state = 'streaming'" 2>/dev/null || true
}

set_synchronous() {
  local wanted=''
  [[ $BACKUP_SYNCHRONOUS == off ]] || wanted=backup
  [[ $(query 'SHOW synchronous_standby_names') != "$wanted" ]] || return 0
  query "ALTER SYSTEM SET synchronous_standby_names = '$wanted'; SELECT pg_reload_conf();" >/dev/null
}

# What needs the stream: without it nobody could write synchronously, and no backup would be whole.
watch_over() {
  local chain known=''
  trap - TERM INT
  while :; do
    chain=$(streaming_chain)
    if [[ $chain && $chain != "$known" ]]; then set_synchronous || chain=''; fi
    known=$chain
    if [[ $chain ]] && is_due "$chain"; then take_due; fi
    if [[ $chain ]]; then sleep 10; else sleep 2; fi
  done
}

take_due() {
  local said
  if said=$(backup take 2>&1); then
    note info "$(tail -n 1 <<<"$said")"
  else
    note error "The backup failed: $(tail -n 1 <<<"$said")"
    sleep 60
  fi
}

is_due() { # is_due CHAIN
  local newest
  ((BACKUP_EVERY_HOURS > 0)) || return
  newest=$(verified "$1" | tail -n 1)
  [[ ! $newest ]] || (($(date +%s) - $(seconds_of "${newest##*/}") >= BACKUP_EVERY_HOURS * 3600))
}

# A line of the log, as the other services write theirs.
note() { # note LEVEL SENTENCE
  local sentence=${2//\\/\\\\}
  sentence=${sentence//\"/\\\"}
  printf '{"level":"%s","time":"%s","service":"backup","msg":"%s"}\n' "$1" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
    "${sentence//$'\n'/ }" >&2
}

# The server learns only after a minute that whoever has the slot stands still: one that works says every 10 s that it is there.
healthy() {
  [[ $(query "SELECT 1 FROM pg_stat_replication WHERE application_name = 'backup' AND state = 'streaming'
    AND coalesce(reply_time, now()) > now() - interval '25 s'" 2>/dev/null) ]] || fail 'The write-ahead log does not stream.'
  [[ ! -e /tmp/failed ]] || fail "The last backup failed: $(cat /tmp/failed)"
}

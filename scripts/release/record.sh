# Sourced by what brings a release to a stack: who may do that now, and what became of it.
#
# The lock is a container that lives as long as whoever holds the other end of its input, so that it also ends with a
# deploy that is killed, from whichever machine it was run. Its name is the stack's: the engine gives it to one at a time.
# It has the volume in which the log of deploys is. A line of it, with tabs: when it began, verb, release, by whom,
# "began", "migrates" (where it changes the schema), "ok" or "failed", seconds, note. All lines of a deploy begin alike.
# shellcheck shell=bash

verb='' tag='' note='' patience=120 complaint='' done_sentence='' locked='' rehearsing='' rolling='' retiring='' rotating=''
stopped='' recorded=''

begin() {
  STACK=${STACK:-production}
  work=$(mktemp -d)
  trap finish EXIT
  trap 'fail "It was interrupted."' INT TERM HUP
  trap '' PIPE
  # The stack's own work goes first.
  renice -n 10 $$ >/dev/null 2>&1 || true
  [[ $patience =~ ^[1-9][0-9]{0,3}$ ]] || fail "--patience takes a number of seconds, not $patience."
  open_stack
}

take_lock() { # take_lock WHAT
  local attempt=0
  began=$(date -u +%Y-%m-%dT%H:%M:%SZ) who=${DEPLOY_BY:-${SUDO_USER:-$(id -un)}@$(uname -n)}
  make_volume deploys "$project"
  make_volume certificates "$project"
  mkfifo "$work/lock"
  until hold_lock "$1"; do
    grep -q 'is already in use' "$work/refusal" || fail "The lock cannot be had: $(tail -n 1 "$work/refusal")"
    refuse_if_held
    # The container of one that has just ended is on its way out.
    ((attempt += 1, attempt < 40)) || fail "The container $project-deploy is in the way: docker rm --force $project-deploy"
    sleep 0.5
  done
  locked=yes
}

# apart COMMAND…: in the background, in a process group of its own, which Ctrl-C does not reach
apart() {
  set -m
  "$@" &
  set +m
}

# Out of reach of Ctrl-C, too. Whatever else this process starts inherits the other end: as long as any of it still acts,
# the lock is held.
hold_lock() { # hold_lock WHAT
  : >"$work/held"
  set -m
  docker run "${CONFINED[@]}" --interactive --name "$project-deploy" --user 0:0 \
    --label "keelson.by=$who" --label "keelson.what=$1" --label "keelson.since=$began" \
    --volume "${project}_deploys:/deploys" --volume "${project}_certificates:/certificates:ro" \
    --entrypoint sh "$(tool_image)" -c 'echo held; exec cat' <"$work/lock" >"$work/held" 2>"$work/refusal" &
  lock_process=$!
  set +m
  exec 9>"$work/lock"
  until grep -q held "$work/held"; do
    if ! kill -0 "$lock_process" 2>/dev/null; then
      exec 9>&-
      wait "$lock_process" || true
      return 1
    fi
    sleep 0.1
  done
}

refuse_if_held() {
  local held
  held=$(docker inspect --format '{{.State.Running}} {{index .Config.Labels "keelson.by"}}: {{index .Config.Labels "keelson.what"}}, since {{index .Config.Labels "keelson.since"}}' "$project-deploy" 2>/dev/null) || return 0
  [[ $held != true* ]] || fail "Another one is under way in the stack $STACK, by ${held#true }."
}

release_lock() {
  exec 9>&-
  wait "$lock_process" || true
}

# Any image with a shell does, and every stack has this one.
tool_image() {
  docker compose config --images postgres
}

in_lock() { # in_lock COMMAND…
  docker exec --interactive "$project-deploy" "$@"
}

# From here on the log says what became of it, or that it did not end.
begin_record() {
  record began ''
  recorded=yes
}

record() { # record RESULT NOTE
  printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$began" "$verb" "$tag" "$who" "$1" "$SECONDS" "$(printf '%s' "$2" | tr '\t\n' '  ')" |
    in_lock sh -c 'cat >>/deploys/log'
}

read_log() {
  in_lock sh -c 'cat /deploys/log 2>/dev/null || true'
}

# Every release that is there to go back to, the present one last. A rollback takes away those above the one it went to.
releases() {
  read_log | awk -F '\t' '
    $5 != "ok" || $2 !~ /^(deploy|rollback)$/ { next }
    $2 == "rollback" { for (n = depth; n > 0 && stack[n] != $3; n--); if (n) { depth = n; next } }
    stack[depth] != $3 { stack[++depth] = $3 }
    END { for (n = 1; n <= depth; n++) print stack[n] }
  '
}

current_release() {
  releases | tail -n 1
}

previous_release() {
  releases | sed -n '$!h; ${x; p;}'
}

# Where a rollback goes: to the release that is named, or else to the one before, which is the present one where a deploy was
# killed among the containers. Sets present and tag.
choose_release() {
  present=$(running_release)
  if all_run "$present"; then
    tag=${named:-$(previous_release)}
    [[ $tag ]] || fail "There is no release before ${present:-the first} in the stack $STACK: name a TAG to go to."
    [[ $tag != "$present" ]] || fail "$tag is what runs in the stack $STACK."
  else
    tag=${named:-$present}
  fi
}

# The schema stays. A release that was not seen to live with it is tried now.
check_schema() {
  [[ $(untried_schema "$tag") ]] || return 0
  if [[ $allowed ]]; then note="incompatible: $allowed"; else rehearse_back; fi
}

# The release that has changed the schema since TAG came here last, while another one ran, or though TAG could not live with
# it; none where there is no such release.
untried_schema() { # untried_schema TAG
  read_log | awk -F '\t' -v tag="$1" '
    $5 == "migrates" && now != tag { untried = $3 }
    $5 != "ok" || $2 !~ /^(deploy|rollback)$/ { next }
    $2 == "deploy" && $7 ~ /incompatible: / { untried = $3 }
    { now = $3 }
    now == tag { untried = "" }
    END { print untried }
  '
}

# Ends every verb. What was begun is put in order before anybody else may begin.
finish() {
  local status=$? result=ok reason=''
  trap - EXIT
  trap '' INT TERM HUP
  set +e
  if ((status != 0)); then
    result=failed reason=$(cat "$work/reason" 2>/dev/null)
    reason=${reason:-A command failed: its words are above.}
    : >"$work/reason"
    [[ ! $rolling ]] || await_retired
    apart put_in_order
    wait $! || reason="$reason And not all was put back: $(cat "$work/reason")"
  fi
  if [[ $recorded ]]; then record "$result" "${reason:-$note}"; fi
  [[ ! $locked ]] || release_lock
  rm -rf "$work"
  if ((status != 0)); then say "$reason" >&2; elif [[ $done_sentence ]]; then say "$done_sentence"; fi
  exit "$status"
}

put_in_order() (
  set -e
  [[ ! $locked ]] || remove_one_shots
  [[ ! $rehearsing ]] || remove_rehearsal
  [[ ! $rotating ]] || take_back_passwords
  [[ ! $rolling ]] || put_back
  [[ ! $rotating ]] || close_other_logins
  [[ ! $stopped ]] || start_database
)

show_log() {
  local log
  docker volume inspect "${project}_deploys" >/dev/null 2>&1 || fail "Nothing was deployed to the stack $STACK yet."
  log=$(docker run "${CONFINED[@]}" --user nobody --volume "${project}_deploys:/deploys:ro" --entrypoint sh "$(tool_image)" \
    -c 'cat /deploys/log 2>/dev/null || true')
  [[ $log ]] || fail "Nothing was deployed to the stack $STACK yet."
  printf '%s\n' "$log" | awk -F '\t' '
    $5 == "migrates" { next }
    !($1 FS $2 FS $3 FS $4 in line) { order[++count] = $1 FS $2 FS $3 FS $4 }
    { line[$1 FS $2 FS $3 FS $4] = sprintf("%s  %-8s  %-12s  %-6s  %4d s  %s%s", $1, $2, $3, $5, $6, $4, $7 == "" ? "" : "  " $7) }
    END { for (n = 1; n <= count; n++) print line[order[n]] }
  '
}

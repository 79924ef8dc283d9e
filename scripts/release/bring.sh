# Sourced by what deploys a release: all that comes before its containers, in order, and they. scripts/release/swarm.sh has
# functions of its own for what Swarm does in another way.
# shellcheck shell=bash

bring_release() {
  [[ ! $has_data ]] || start_others
  rehearse
  start_others
  renew_others
  [[ ! $has_data ]] || back_up
  say "the migrations of $tag"
  [[ ! $migrates ]] || record migrates ''
  one_shots release "$tag"
  roll
  set_tag
  done_sentence="$tag runs in the stack $STACK."
}

# What is not of this repository, such as Postgres, is what the rest needs. It is no part of a release.
start_others() {
  local service
  for service in $(others); do
    ! is_started "$service" || continue
    say "$service: starts"
    replace_other "$service"
  done
}

renew_others() {
  local service
  for service in $(others); do
    if is_as_defined "$service"; then
      continue
    elif [[ " $recreated " == *" $service "* ]]; then
      say "$service: is replaced, and away meanwhile"
      replace_other "$service"
    else
      say "$service: its definition has changed. It runs on as it is: --recreate $service would replace it."
    fi
  done
}

is_started() { # is_started SERVICE
  [[ $(running "$1") ]]
}

replace_other() { # replace_other SERVICE
  quietly release "$tag" up --detach --no-deps "$1" || fail "$1 cannot be started: $complaint"
  await_healthy "$(running "$1")" "$1"
}

is_as_defined() { # is_as_defined SERVICE
  local running
  running=$(docker inspect --format '{{index .Config.Labels "com.docker.compose.config-hash"}}' "$(running "$1")")
  [[ $(release "$tag" config --hash "$1") == "$1 $running" ]]
}

# Before a release changes the schema, unless there is a reason not to. Where there is a database, but no backup service
# yet or any more, one of this release starts.
back_up() {
  if [[ $unsaved ]]; then
    say "no backup: $unsaved"
    note="${note:+$note; }no backup: $unsaved"
    return
  fi
  if [[ ! $(backup_service) ]]; then
    say 'backup: starts'
    replace_other backup
  fi
  say 'backup'
  take_backup
}

# == What the steps above are made of ==
#
# A step's number is $n. What is kept of step 3 is in $store/3.*: .kept is a copy of a
# file, .none says that there was none, .was has an owner and a mode, .done that the
# step was done.

umask 077
mode=apply dry=no restart=yes store=
usage() {
  printf '%s\n' "usage: sh FILE [undo] [--dry-run] [--no-restart] [--store DIR]" >&2
  exit 2
}
while [ $# -gt 0 ]; do
  case $1 in
    undo) mode=undo ;;
    --dry-run) dry=yes ;;
    --no-restart) restart=no ;;
    --store) [ $# -gt 1 ] || usage; store=$2; shift ;;
    *) usage ;;
  esac
  shift
done
store=${store:-/var/lib/plimsoll/fix}/$id

say() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "fix: $*" >&2; return 1; }

engine() { if [ -n "$engine" ]; then docker -H "$engine" "$@"; else docker "$@"; fi; }

# update ID OPTION...: of a container that is gone there is nothing to change.
update() {
  is_gone "$1" && return 0
  id_of_it=$1
  shift
  engine update "$@" "$id_of_it" > /dev/null
}

is_gone() { found=$(engine ps --all --quiet --no-trunc --filter "id=$1" 2> /dev/null) && [ -z "$found" ]; }

was_done() { [ -e "$store/$n.done" ]; }

# Files: owner and mode.

was() { [ -e "$store/$n.was" ] || stat -L -c '%u:%g %a' -- "$1" > "$store/$n.was"; }

# is_owned FILE OWNER: a user, a group after a colon, or both.
is_owned() {
  had=$(stat -L -c '%U:%G' -- "$1" 2> /dev/null) || return 1
  case $2 in
    :*) [ ":${had#*:}" = "$2" ] ;;
    *:*) [ "$had" = "$2" ] ;;
    *) [ "${had%%:*}" = "$2" ] ;;
  esac
}

set_owner() {
  [ -e "$1" ] || fail "$1 is not there" || return 1
  was "$1" && had=$(stat -L -c %a -- "$1") || return 1
  # A change of owner takes setuid and setgid away, which is not what was asked for.
  chown -- "$2" "$1" && chmod -- "$had" "$1"
}

is_within() {
  had=$(stat -L -c %a -- "$1" 2> /dev/null) && [ $((0$had & ~0$2 & 07777)) -eq 0 ]
}

set_mode() {
  [ -e "$1" ] || fail "$1 is not there" || return 1
  was "$1" && had=$(stat -L -c %a -- "$1") || return 1
  chmod -- "$(printf '%o' $((0$had & 0$2)))" "$1"
}

put_permissions() {
  [ -e "$store/$n.was" ] || return 0
  read -r owner had < "$store/$n.was" || return 1
  chown -- "$owner" "$1" && chmod -- "$had" "$1" && rm -f -- "$store/$n.was"
}

# Files: what they hold.

sum() { if [ -e "$1" ]; then sha256sum < "$1" | cut -d ' ' -f 1; else say none; fi; }

keep() {
  if [ -e "$store/$n.kept" ] || [ -e "$store/$n.none" ]; then return 0; fi
  if [ -e "$1" ]; then
    cp -a -- "$1" "$store/$n.part" && mv -- "$store/$n.part" "$store/$n.kept"
  else
    : > "$store/$n.none"
  fi
}

# replace FILE NEW: what it holds, and nothing else about it, in one moment.
replace() {
  if [ -e "$1" ]; then
    cp -a -- "$1" "$1.plimsoll" && cat -- "$2" > "$1.plimsoll"
  else
    if [ ! -d "${1%/*}" ]; then : > "$store/$n.folder" || return 1; fi
    mkdir -p -m 755 -- "${1%/*}" && cp -- "$2" "$1.plimsoll" && chmod 644 "$1.plimsoll"
  fi && mv -f -- "$1.plimsoll" "$1" || { rm -f -- "$1.plimsoll"; return 1; }
}

put_file() {
  if [ -e "$store/$n.kept" ]; then
    cp -a -- "$store/$n.kept" "$1.plimsoll" && mv -f -- "$1.plimsoll" "$1" || { rm -f -- "$1.plimsoll"; return 1; }
  elif [ -e "$store/$n.none" ]; then
    rm -f -- "$1" || return 1
    if [ -e "$store/$n.folder" ]; then rmdir -- "${1%/*}" 2> /dev/null || :; fi
  fi
  rm -f -- "$store/$n.kept" "$store/$n.none" "$store/$n.folder"
}

# behind FILE: where it leads, for a link stays one.
behind() { if [ -L "$1" ]; then readlink -f -- "$1"; else say "$1"; fi; }

# daemon.json: FILE, the sums of what it held and is to hold, and reload or restart.

is_daemon_file() { [ "$(sum "$1")" = "$3" ] && [ ! -e "$store/$n.waits" ]; }

set_daemon_file() {
  cat > "$store/$n.new"
  file=$(behind "$1") || return 1
  now=$(sum "$file")
  if [ "$now" != "$3" ]; then
    [ "$now" = "$2" ] || fail "$1 is not what it was when this script was made; make it again" || return 1
    if dockerd --help 2> /dev/null | grep -q -e --validate; then
      dockerd --validate --config-file "$store/$n.new" > /dev/null || return 1
    fi
    keep "$file" && : > "$store/$n.waits" && replace "$file" "$store/$n.new" || return 1
  fi
  rm -f -- "$store/$n.new"
  read_again "$4"
}

put_daemon_file() {
  file=$(behind "$1") || return 1
  now=$(sum "$file")
  [ "$now" = "$2" ] && [ ! -e "$store/$n.waits" ] && [ ! -e "$store/$n.kept" ] && [ ! -e "$store/$n.none" ] && return 0
  if [ "$now" != "$2" ]; then
    [ "$now" = "$3" ] || fail "$1 was changed since; take out by hand what this script put there" || return 1
  fi
  : > "$store/$n.waits" && put_file "$file" && read_again "$4"
}

# read_again reload|restart: a reload comes first, for live-restore then keeps the
# containers when the engine is restarted.
read_again() {
  if [ "$restart" = no ]; then
    say "   The engine must $1 to read it."
  else
    pid=$(cat -- "$pidfile" 2> /dev/null) || pid=
    if [ -z "$pid" ] || [ "$(cat "/proc/$pid/comm" 2> /dev/null)" != dockerd ]; then
      say "   The engine was not found: have it $1 to read its configuration."
    elif [ "$(systemctl show -p MainPID --value docker.service 2> /dev/null)" = "$pid" ]; then
      systemctl reload docker.service || return 1
      if [ "$1" = restart ]; then systemctl restart docker.service || return 1; fi
    else
      kill -HUP "$pid" || return 1
      [ "$1" = reload ] || say "   The engine is not systemd's: restart it to have the change."
    fi
  fi
  rm -f -- "$store/$n.waits"
}

# Audit rules, one an argument.

audit_file=/etc/audit/rules.d/90-plimsoll.rules

is_audited() {
  was_done || return 1
  for rule do grep -qxF -e "$rule" "$audit_file" 2> /dev/null || return 1; done
}

set_audit() {
  if ! command -v augenrules > /dev/null && ! command -v auditctl > /dev/null; then
    fail "no auditctl is there; install the audit daemon (auditd), then run this again" || return "$left_out"
  fi
  keep "$audit_file" || return 1
  { if [ -e "$audit_file" ]; then cat -- "$audit_file"; fi
    for rule do grep -qxF -e "$rule" "$audit_file" 2> /dev/null || say "$rule"; done
  } > "$store/$n.new" && replace "$audit_file" "$store/$n.new" && rm -f -- "$store/$n.new" || return 1
  if command -v augenrules > /dev/null; then augenrules --load > /dev/null; return; fi
  set -f
  for rule do
    # shellcheck disable=SC2086
    auditctl $rule > /dev/null || { set +f; return 1; }
  done
  set +f
}

put_audit() {
  [ -e "$store/$n.kept" ] || [ -e "$store/$n.none" ] || return 0
  put_file "$audit_file" || return 1
  if command -v augenrules > /dev/null; then augenrules --load > /dev/null; return; fi
  set -f
  for rule do
    case $rule in
      -w*) rule="-W${rule#-w}" ;;
      -a*) rule="-d${rule#-a}" ;;
    esac
    # shellcheck disable=SC2086
    auditctl $rule > /dev/null || { set +f; return 1; }
  done
  set +f
}

# == The order of it ==

if [ -n "$host" ] && [ "$(uname -n)" != "$host" ]; then
  fail "this was made for $host, and here is $(uname -n)"
  exit 1
fi
if [ "$dry" = no ]; then
  [ "$root" = no ] || [ "$(id -u)" = 0 ] || { fail "run it as root"; exit 1; }
  mkdir -p -- "$store" || exit 1
fi

# What a step ends with that cannot be done here, and that others can do without.
left_out=3
changed=
stop() {
  fail "step $n did not work, and nothing after it was done: $("about_$n")"
  [ -z "$changed" ] || fail "done before that:$changed; to take it back: sh FILE undo"
  exit 1
}

if [ "$mode" = apply ]; then
  n=1
  while [ "$n" -le "$steps" ]; do
    if "done_$n"; then
      say "$n. Is so already: $("about_$n")"
    elif [ "$dry" = yes ]; then
      say "$n. Would do: $("about_$n")"
    else
      "do_$n"
      case $? in
        0)
          : > "$store/$n.done" || stop
          changed="$changed $n"
          say "$n. Done: $("about_$n")"
          ;;
        "$left_out") say "$n. Left out: $("about_$n")" ;;
        *) stop ;;
      esac
    fi
    n=$((n + 1))
  done
else
  n=$steps
  while [ "$n" -ge 1 ]; do
    if [ ! -e "$store/$n.done" ] && [ ! -e "$store/$n.was" ] && [ ! -e "$store/$n.kept" ] && [ ! -e "$store/$n.none" ]; then
      say "$n. Was not done: $("about_$n")"
    elif [ "$dry" = yes ]; then
      say "$n. Would take back: $("about_$n")"
    else
      "undo_$n" || stop
      rm -f -- "$store/$n.done" "$store/$n.new" || stop
      changed="$changed $n"
      say "$n. Taken back: $("about_$n")"
    fi
    n=$((n - 1))
  done
  [ "$dry" = yes ] || rmdir -- "$store" 2> /dev/null || :
fi

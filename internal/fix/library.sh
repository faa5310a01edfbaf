# == What the steps above are made of ==
#
# A step's number is $n. What is kept of step 3 is in $store/3.*: .kept is a copy of a
# file, .none says that there was none, .was has an owner and a mode, .done says that
# the step was done, and .after what a container had then.

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
# fail shows a terminal nothing but ASCII, for names may hold what moves its cursor.
fail() { { printf '%s' "fix: $*" | LC_ALL=C tr '\000-\037\177-\377' '?'; say; } >&2; return 1; }

engine() { if [ -n "$engine" ]; then docker -H "$engine" "$@"; else docker "$@"; fi; }

# What a step ends with that cannot be done here: others can do without one that is
# left out, and one that is refused is told in the exit code. $why says why.
left_out=3 refused=4 why=
leave() { why=$*; return "$left_out"; }
refuse() { why=$*; return "$refused"; }

# update ID OPTION...: of a container that is gone there is nothing to change.
update() {
  is_gone "$1" && return 0
  id_of_it=$1
  shift
  engine update "$@" "$id_of_it" > /dev/null || return 1
  [ "$mode" = undo ] || { limits "$id_of_it" > "$store/$n.part" && mv -f -- "$store/$n.part" "$store/$n.after"; }
}

is_gone() { found=$(engine ps --all --quiet --no-trunc --filter "id=$1" 2> /dev/null) && [ -z "$found" ]; }

limits() {
  engine inspect --type container --format '{{json .HostConfig.Memory}} {{json .HostConfig.MemorySwap}} {{json .HostConfig.MemoryReservation}} {{json .HostConfig.NanoCpus}} {{json .HostConfig.CpuShares}} {{json .HostConfig.PidsLimit}} {{json .HostConfig.RestartPolicy}}' "$1"
}

# is_updated ID: it has the limits that it had after the step.
is_updated() {
  is_gone "$1" && return 0
  was_done && [ -e "$store/$n.after" ] && now=$(limits "$1" 2> /dev/null) && [ "$now" = "$(cat -- "$store/$n.after")" ]
}

was_done() { [ -e "$store/$n.done" ]; }

# Files: owner and mode. No link is followed, and none may have come into the way.

# is_same FILE KIND: it is there, is no link, and nobody but root can put another in
# its place.
is_same() {
  [ -e "$1" ] || [ -L "$1" ] || leave "$1 is not there" || return
  [ ! -L "$1" ] || refuse "$1 is a link now" || return
  case $2 in
    regular) [ -f "$1" ] ;;
    directory) [ -d "$1" ] ;;
    socket) [ -S "$1" ] ;;
    pipe) [ -p "$1" ] ;;
    *) [ -b "$1" ] || [ -c "$1" ] ;;
  esac || refuse "$1 is no longer a $2" || return
  is_roots "$1"
}

# is_roots FILE: nobody but root, and who runs this, can change the folders above it.
is_roots() {
  folder=$1 nearest=yes
  while [ -n "$folder" ]; do
    folder=${folder%/*}
    [ -e "${folder:-/}" ] || [ -L "$folder" ] || continue
    [ ! -L "$folder" ] || refuse "$folder is a link now" || return
    had=$(stat -c '%u:%g %a' -- "${folder:-/}") || refuse "$folder cannot be looked at" || return
    others=$((0${had#* } & 022))
    case $had in *:0\ *) others=$((others & 2)) ;; esac
    # In a sticky folder nobody moves what is another's.
    [ $((0${had#* } & 01000)) -eq 0 ] || [ "$nearest" = yes ] || others=0
    if [ "$others" -ne 0 ] || { [ "${had%%:*}" != 0 ] && [ "${had%%:*}" != "$(id -u)" ]; }; then
      refuse "others than root can change the folder ${folder:-/}" || return
    fi
    nearest=no
  done
}

it_is() { stat -c '%d:%i' -- "$1" 2> /dev/null; }

# was FILE: a line of owner and mode, then lines of what the file is: its device and
# number, and those that it has after this script wrote it anew.
was() {
  if [ -e "$store/$n.was" ] && grep -qxF -e "$(it_is "$1")" -- "$store/$n.was"; then return 0; fi
  { stat -c '%u:%g %a' -- "$1" && it_is "$1"; } > "$store/$n.part" && mv -f -- "$store/$n.part" "$store/$n.was"
}

# moved OLD NEW: one file is to be in the place of another.
moved() {
  for had in "${store%/*}"/*/*.was; do
    grep -qsxF -e "$1" -- "$had" || continue
    { cat -- "$had" && say "$2"; } > "$store/$n.part" && mv -f -- "$store/$n.part" "$had" || return 1
  done
}

# is_owned FILE KIND OWNER: a user, a group after a colon, or both.
is_owned() {
  is_same "$1" "$2" || return
  had=$(stat -c '%U:%G' -- "$1" 2> /dev/null) || return 1
  case $3 in
    :*) [ ":${had#*:}" = "$3" ] ;;
    *:*) [ "$had" = "$3" ] ;;
    *) [ "${had%%:*}" = "$3" ] ;;
  esac
}

# set_owner takes setuid and setgid away from what is no folder: what ran as the one
# owner must not run as the other.
set_owner() {
  is_same "$1" "$2" || return
  was "$1" && chown -h -- "$3" "$1" || return 1
  [ -d "$1" ] || chmod ug-s -- "$1"
}

is_within() {
  is_same "$1" "$2" || return
  had=$(stat -c %a -- "$1" 2> /dev/null) && [ $((0$had & ~0$3 & 07777)) -eq 0 ]
}

set_mode() {
  is_same "$1" "$2" || return
  was "$1" && had=$(stat -c %a -- "$1") || return 1
  chmod -- "$(printf '%o' $((0$had & 0$3)))" "$1"
}

# put_permissions FILE KIND: the former owner first, for the mode may have setuid.
put_permissions() {
  [ -e "$store/$n.was" ] || return 0
  is_same "$1" "$2" || return
  grep -qxF -e "$(it_is "$1")" -- "$store/$n.was" || refuse "$1 is another file than the one that was changed" || return
  read -r owner had < "$store/$n.was" || return 1
  chown -h -- "$owner" "$1" && chmod -- "$had" "$1" && rm -f -- "$store/$n.was"
}

# Files: what they hold.

sum() { if [ -e "$1" ]; then sha256sum < "$1" | cut -d ' ' -f 1; else say none; fi; }

# same FILE FILE: they hold the same.
same() { now=$(sum "$1") && [ -n "$now" ] && [ "$now" = "$(sum "$2")" ]; }

keep() {
  if [ -e "$store/$n.kept" ] || [ -e "$store/$n.none" ]; then return 0; fi
  if [ -e "$1" ]; then
    cp -a -- "$1" "$store/$n.part" && same "$1" "$store/$n.part" && mv -- "$store/$n.part" "$store/$n.kept"
  else
    : > "$store/$n.none"
  fi || fail "$1 could not be kept in $store"
}

# make_folders FOLDER: with those above it; .folders has a line for each.
make_folders() {
  [ -n "$1" ] && [ ! -d "$1" ] || return 0
  make_folders "${1%/*}" && say made >> "$store/$n.folders" && mkdir -m 755 -- "$1"
}

# replace FILE NEW: what it holds, and nothing else about it, in one moment.
replace() {
  rm -f -- "$1.plimsoll"
  if [ -e "$1" ]; then
    cp -a -- "$1" "$1.plimsoll" && cat -- "$2" > "$1.plimsoll"
  else
    make_folders "${1%/*}" && cp -- "$2" "$1.plimsoll" && chmod 644 -- "$1.plimsoll"
  fi && same "$2" "$1.plimsoll" && swap "$1" || { rm -f -- "$1.plimsoll"; fail "$1 could not be written"; }
}

swap() {
  if [ -e "$1" ]; then moved "$(it_is "$1")" "$(it_is "$1.plimsoll")" || return 1; fi
  mv -f -- "$1.plimsoll" "$1"
}

put_file() {
  rm -f -- "$1.plimsoll"
  if [ -e "$store/$n.kept" ]; then
    if ! same "$store/$n.kept" "$1"; then
      cp -a -- "$store/$n.kept" "$1.plimsoll" && same "$store/$n.kept" "$1.plimsoll" && swap "$1" ||
        { rm -f -- "$1.plimsoll"; fail "$1 could not be written"; return 1; }
    fi
  elif [ -e "$store/$n.none" ]; then
    rm -f -- "$1" || return 1
    if [ -e "$store/$n.folders" ]; then
      folder=$1
      while read -r _; do
        folder=${folder%/*}
        rmdir -- "$folder" 2> /dev/null || :
      done < "$store/$n.folders"
    fi
  fi
  rm -f -- "$store/$n.kept" "$store/$n.none" "$store/$n.folders"
}

# daemon.json: FILE, the sums of what it held and is to hold, reload or restart, and
# where FILE led, or nothing where there was none.

# is_behind FILE WHERE: a link stays one, and leads where it led.
is_behind() {
  file=$1
  if [ -L "$1" ]; then
    file=$(readlink -f -- "$1") && [ -n "$file" ] || fail "$1 is a link to $(readlink -- "$1"), and there is no such folder" || return 1
  fi
  # Others may be links on the way there.
  [ ! -e "${file%/*}" ] || file=$(readlink -f -- "$file") || return 1
  [ -z "$2" ] || [ "$file" = "$2" ] || refuse "$1 does not lead to $2 now" || return
  [ ! -e "$file" ] || [ -f "$file" ] || refuse "$file is no file" || return
  is_roots "$file"
}

is_daemon_file() { is_behind "$1" "$5" 2> /dev/null && [ "$(sum "$file")" = "$3" ] && [ ! -e "$store/$n.waits" ]; }

set_daemon_file() {
  cat > "$store/$n.new" && [ "$(sum "$store/$n.new")" = "$3" ] || fail "$store could not be written" || return 1
  is_behind "$1" "$5" || return
  now=$(sum "$file")
  if [ "$now" != "$3" ]; then
    [ "$now" = "$2" ] || fail "$1 is not what it was when this script was made; make it again" || return 1
    if dockerd --help 2> /dev/null | grep -q -e --validate; then
      dockerd --validate --config-file "$store/$n.new" > /dev/null || return 1
    fi
    keep "$file" && : > "$store/$n.waits" && replace "$file" "$store/$n.new" || return 1
  fi
  read_again "$4"
}

put_daemon_file() {
  is_behind "$1" "$5" || return
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

has_rules() { grep -qsE -e '^[[:space:]]*-[aAw]' -- "$@"; }

# find_rules finds the file for them. Where all of a host's are in audit.rules, and none
# in the folder that augenrules makes it of, that is their place, for augenrules would
# throw them away.
find_rules() {
  rules=$audit_file
  if [ -e "$store/$n.all" ]; then
    rules=${audit_file%/*/*}/audit.rules
  elif [ "$mode" = apply ] && ! has_rules "${audit_file%/*}"/*.rules && has_rules "${audit_file%/*/*}/audit.rules"; then
    rules=${audit_file%/*/*}/audit.rules
  fi
}

is_audited() {
  was_done || return 1
  find_rules
  for rule do grep -qsxF -e "$rule" -- "$rules" || return 1; done
}

# with_rules RULE...: what the file is to hold.
with_rules() {
  if [ -e "$rules" ]; then
    cat -- "$rules" || return 1
    case $(cat -- "$rules"; say x) in
      x | *"
x") ;;
      *) say || return 1 ;;
    esac
  fi
  for rule do grep -qsxF -e "$rule" -- "$rules" || say "$rule" || return 1; done
}

set_audit() {
  if ! command -v augenrules > /dev/null && ! command -v auditctl > /dev/null; then
    leave "no auditctl is there; install the audit daemon (auditd), then run this again" || return
  fi
  find_rules
  if [ "$rules" != "$audit_file" ]; then
    command -v auditctl > /dev/null || leave "no auditctl is there to load $rules" || return
    ! grep -qE -e '^[[:space:]]*-e[[:space:]]*2' -- "$rules" || leave "$rules locks the rules (-e 2), and none after that counts; put these before it" || return
    : > "$store/$n.all" || return 1
  fi
  keep "$rules" && with_rules "$@" > "$store/$n.new" || return 1
  sum "$store/$n.new" > "$store/$n.part" && mv -f -- "$store/$n.part" "$store/$n.sum" || return 1
  replace "$rules" "$store/$n.new" && load_rules "$@"
}

# load_rules has the kernel take the file's rules, or be rid of them again.
load_rules() {
  if [ "$rules" = "$audit_file" ] && command -v augenrules > /dev/null; then augenrules --load > /dev/null; return; fi
  # A file that begins by deleting all rules is loaded as a whole.
  if grep -qsE -e '^[[:space:]]*-D' -- "$rules"; then auditctl -R "$rules" > /dev/null; return; fi
  set -f
  for rule do
    if [ "$mode" = undo ]; then
      case $rule in
        -w*) rule="-W${rule#-w}" ;;
        -a*) rule="-d${rule#-a}" ;;
      esac
    fi
    # shellcheck disable=SC2086
    auditctl $rule > /dev/null || { set +f; return 1; }
  done
  set +f
}

put_audit() {
  [ -e "$store/$n.kept" ] || [ -e "$store/$n.none" ] || return 0
  find_rules
  if ! same "$store/$n.kept" "$rules" && [ -e "$rules" ] && [ "$(sum "$rules")" != "$(cat -- "$store/$n.sum" 2> /dev/null)" ]; then
    fail "$rules was changed since; take out by hand what this script put there" || return 1
  fi
  put_file "$rules" && load_rules "$@"
}

# == The order of it ==

if [ -n "$host" ] && [ "$(uname -n)" != "$host" ]; then
  fail "this was made for $host, and here is $(uname -n)"
  exit 1
fi
# Copies that are half made may hold what not everybody may read.
clean() { rm -f -- "$store"/*.new "$store"/*.part; }
if [ "$dry" = no ]; then
  [ "$root" = no ] || [ "$(id -u)" = 0 ] || { fail "run it as root"; exit 1; }
  mkdir -p -- "$store" || exit 1
  clean || exit 1
  trap clean EXIT
  trap 'exit 1' HUP INT TERM
fi

changed= code=0
stop() {
  fail "step $n did not work, and nothing after it was done: $("about_$n")"
  [ -z "$changed" ] || fail "done before that:$changed; to take it back: sh FILE undo"
  exit 1
}

# skip STATUS: where it is that of a step that cannot be done here, say so.
skip() {
  [ "$1" = "$left_out" ] || [ "$1" = "$refused" ] || return
  [ "$1" = "$left_out" ] || code=1
  say "$n. Left out: $("about_$n")"
  fail "step $n is left out: $why" || :
}

if [ "$mode" = apply ]; then
  n=1
  while [ "$n" -le "$steps" ]; do
    "done_$n"
    is=$?
    if [ "$is" = 0 ]; then
      say "$n. Is so already: $("about_$n")"
    elif skip "$is"; then
      :
    elif [ "$dry" = yes ]; then
      say "$n. Would do: $("about_$n")"
    elif "do_$n"; then
      : > "$store/$n.done" || stop
      changed="$changed $n"
      say "$n. Done: $("about_$n")"
    else
      skip "$?" || stop
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
      "undo_$n"
      is=$?
      if [ "$is" = 0 ]; then
        changed="$changed $n"
        say "$n. Taken back: $("about_$n")"
      else
        skip "$is" || stop
      fi
      # What is gone does not come back; what was refused may.
      [ "$is" = "$refused" ] || rm -f -- "$store/$n".* || stop
    fi
    n=$((n - 1))
  done
  [ "$dry" = yes ] || { clean && rmdir -- "$store" 2> /dev/null; } || :
fi
exit "$code"

#!/bin/sh
# OCI runtime for a machine with the old cgroup v1 tree: systemd in a container needs a cgroup2
# tree. Each container gets a group of its own there, seen from inside as the whole tree.
# `python -m workshop.lab setup` copies this to .lab/crun (podman goes by the name) where it is needed.
set -eu

action=
for argument; do
    case $argument in create | exec | delete) action=${action:-$argument} ;; esac
done
group=/sys/fs/cgroup/unified/$argument # the container's id comes last

case $action in
create | exec)
    mkdir -p "$group/systemd" # podman mounts this folder on machines with cgroup v1
    echo $$ >"$group/cgroup.procs"
    # shellcheck disable=SC2016 # "$@" is for the inner shell
    exec unshare --mount --cgroup \
        /bin/sh -c 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec crun "$@"' crun "$@"
    ;;
delete)
    crun "$@"
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    ;;
*)
    exec crun "$@"
    ;;
esac

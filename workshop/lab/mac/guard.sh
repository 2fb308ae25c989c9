#!/bin/sh
# Stands before programs of Postfix on the lab's Mac: 3.2.2 ends at a compatibility_level such as 3.6,
# which Debian's 3.5 has learnt to read.
folder=${MAIL_CONFIG:-/etc/postfix}
before=
for argument; do
    [ "$before" != -c ] || folder=$argument
    before=$argument
done
name=$(basename "$0")
level=$(/usr/libexec/stand-in/postconf -c "$folder" -h compatibility_level 2>/dev/null)
case $level in
*[!0-9]*)
    text="bad numerical configuration: compatibility_level = $level"
    [ ! -t 2 ] || echo "$0: fatal: $text" >&2
    postlog -p fatal -t "postfix/$name" "$text" 2>/dev/null
    exit 1
    ;;
esac
exec "/usr/libexec/stand-in/guarded/$name" "$@"

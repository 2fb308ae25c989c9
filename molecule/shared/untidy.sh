#!/bin/sh
# Makes a host what people have at home: untidy.sh NAME HOSTNAME. A Postfix installed by hand keeps mail that cannot
# leave, as where the internet provider blocks port 25. Its Message-IDs are WHAT@NAME.test.
set -eu

echo old.casey.test >/etc/mailname
apt-get update
DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends postfix
postconf -e 'relayhost = [127.0.0.1]:9'
printf 'root: casey@fastmail.com\nups: root\n' >/etc/aliases
newaliases
# All mail of this user was casey's at another provider.
echo '/^nut@/ casey@old.test' >/etc/postfix/earlier
postconf -e 'sender_canonical_maps = regexp:/etc/postfix/earlier'
postfix reload || postfix start

keep() { # WHAT SENDER HEADER RECIPIENT
    /usr/sbin/sendmail -i -f "$2" "$4" <<END
Message-ID: <$1@$name.test>
Subject: It waited
$3

The disk is full.
END
}
name=$1
keep cron root 'To: root' root
keep ups "ups@$2" "From: UPS <ups@$2>" ups
keep friend www-data 'From: www-data' friend@elsewhere.test
keep earlier nut 'From: nut' root
keep bounce '' 'From: MAILER-DAEMON@old.casey.test' casey@fastmail.com

# Tried, and put off.
for _try in $(seq 100); do
    [ "$(find /var/spool/postfix/deferred -type f | wc -l)" = 5 ] && exit
    sleep 0.2
done
postqueue -p
exit 1

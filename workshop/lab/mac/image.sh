#!/bin/sh
# Makes a Debian with Postfix look like a Mac. Runs inside the image while it is built, once, with the
# files of this folder beside it.
set -eux
cd "$(dirname "$0")"

# What a Mac has, in a Mac's words.
mkdir -p /usr/libexec/postfix /usr/libexec/stand-in /Library/LaunchDaemons /System/Library/LaunchDaemons /Users/casey
for program in launchd launchctl; do install -m 755 $program.py /sbin/$program; done
install -m 755 log.py /usr/bin/log
install -m 755 commands.py /usr/libexec/stand-in/
for path in /usr/bin/uname /usr/bin/sw_vers /usr/bin/vm_stat /usr/bin/csrutil /usr/bin/dscl /usr/bin/defaults /usr/sbin/sysctl \
    /usr/sbin/system_profiler /usr/sbin/scutil /sbin/ifconfig /sbin/route; do
    ln -sf /usr/libexec/stand-in/commands.py $path
done
ln -sf "$(command -v python3.9)" /usr/bin/python3
rm /usr/lib/python3.9/sitecustomize.py # a link into /etc
install -m 644 sitecustomize.py /usr/lib/python3.9/sitecustomize.py
mkdir -p /System/Library/CoreServices
cat >/System/Library/CoreServices/SystemVersion.plist <<END
<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
<key>ProductName</key><string>macOS</string>
<key>ProductVersion</key><string>$(/usr/bin/sw_vers -productVersion)</string>
<key>ProductBuildVersion</key><string>$(/usr/bin/sw_vers -buildVersion)</string>
</dict></plist>
END

# Users. Debian's files keep their numbers; who is not in here has no name.
cat >/etc/passwd <<'END'
root:*:0:0:System Administrator:/var/root:/bin/sh
daemon:*:1:1:System Services:/var/root:/usr/bin/false
_postfix:*:27:27:Postfix Mail Server:/var/spool/postfix:/usr/bin/false
nobody:*:65534:65534:Unprivileged User:/var/empty:/usr/bin/false
casey:*:501:20:Casey:/Users/casey:/bin/sh
END
cat >/etc/group <<'END'
wheel:*:0:root
daemon:*:1:root
mail:*:6:_postfix
staff:*:20:root
_postfix:*:27:
_postdrop:*:28:
admin:*:80:root,casey
nobody:*:65534:
END
rm -f /etc/shadow* /etc/gshadow* /etc/passwd- /etc/group-
chown 501:20 /Users/casey
mv /root /var/root
chmod 750 /var/root

# Postfix under Apple's paths and names.
mv /usr/lib/postfix/sbin/* /usr/libexec/postfix/
rmdir /usr/lib/postfix/sbin
mv /usr/sbin/postconf /usr/libexec/stand-in/
install -m 755 postconf.py /usr/libexec/stand-in/
install -m 644 parameters.txt /usr/libexec/stand-in/
ln -s /usr/libexec/stand-in/postconf.py /usr/sbin/postconf
mkdir /usr/libexec/stand-in/guarded
for path in /usr/libexec/postfix/master /usr/sbin/postfix /usr/sbin/postmap; do
    mv $path /usr/libexec/stand-in/guarded/
    install -m 755 guard.sh $path
done
# Of these 3.2.2 has nothing.
# shellcheck disable=SC2016 # the quotes are sed's
sed -i -e 's/^start|start-fg)/start)/' -e 's/^logrotate)/not-in-3.2)/' -e 's/maillog_file=`.*`/maillog_file=/' \
    /usr/libexec/postfix/postfix-script
rm -rf /etc/postfix/sasl /var/spool/postfix /var/lib/postfix
install -m 644 main.cf master.cf /etc/postfix/
for name in main.cf master.cf; do cp /etc/postfix/$name /etc/postfix/$name.default; done
cp /etc/postfix/main.cf /etc/postfix/main.cf.proto
install -m 644 com.apple.postfix.master.plist /System/Library/LaunchDaemons/
chgrp 28 /usr/sbin/postdrop /usr/sbin/postqueue
chmod 2755 /usr/sbin/postdrop /usr/sbin/postqueue
for folder in /usr/lib/*-linux-gnu/sasl2; do
    mv "$folder" /usr/lib/
    ln -s ../sasl2 "$folder"
done

# The authorities whom a Mac trusts.
cp -L /etc/ssl/certs/ca-certificates.crt /etc/cert.pem
rm -rf /etc/ssl/* /usr/local/share/ca-certificates /etc/ca-certificates*
mv /etc/cert.pem /etc/ssl/cert.pem

# /etc, /var and /tmp lie below /private; links that work from outside the image, too.
mkdir /private
for name in etc var tmp; do
    mv /$name /private/
    ln -s private/$name /$name
done
rm -rf /private/var/run
mkdir -p /private/var/run /private/var/db
printf 'postmaster: root\n' >/etc/postfix/aliases
ln -sf postfix/aliases /etc/aliases
# A Mac comes with the queue's folders.
mkdir /private/var/spool/postfix
install -d -o 27 -m 700 /private/var/lib/postfix
postfix post-install create-missing
newaliases

# What a Mac does not have.
for name in getent timeout systemctl journalctl lsb_release apt apt-get apt-cache apt-key apt-mark apt-config \
    dpkg dpkg-query dpkg-deb dpkg-divert update-ca-certificates update-rc.d service deb-systemd-invoke \
    hostnamectl ip ss; do
    rm -f /bin/$name /sbin/$name /usr/bin/$name /usr/sbin/$name
done
rm -rf /etc/os-release /usr/lib/os-release /etc/debian_version /etc/init.d /etc/systemd /etc/machine-id \
    /run/systemd

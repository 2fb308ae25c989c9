"""A stand-in for a Mac, as far as Ansible, launchd's plists and Postfix are concerned.

Real: Postfix, Cyrus SASL and OpenSSL at work under macOS' paths, users and defaults; the tree below /private; what
a plist asks for, kept by a launchd of the lab's own (launchd.py); the facts that Ansible gathers.

Not real: it is Linux underneath. Apple's launchd is imitated from its documentation and reports, and refuses what it
does not imitate. System Integrity Protection is a refusal of launchctl's alone. TLS is OpenSSL's and not LibreSSL's.
Postfix is 3.5 and not 3.2.2: `postconf` says 3.2.2 and complains of parameters that are newer, but the daemons take
them. What Postfix has no setting for in main.cf is Debian's default. os.uname() and `uname` say Darwin; sys.platform is
linux. `sed`, `stat` and `ps` are GNU's.
"""

import hashlib
import shlex
from pathlib import Path

# The oldest Postfix, and the Python 3.9 that Apple ships too.
SUITE = "bullseye"
PACKAGES = ("postfix", "postfix-pcre", "libsasl2-modules", "python3", "ca-certificates", "procps")

_FOLDER = Path(__file__).parent
HOOKS = (
    'mkdir "$1/stand-in"',
    f"sync-in {shlex.quote(str(_FOLDER))} /stand-in",
    'chroot "$1" sh /stand-in/image.sh',
    'rm -r "$1/stand-in"',
)
TRUST = """
    file=/etc/ssl/cert.pem
    [ -e $file.apple ] || cp $file $file.apple
    cat $file.apple - >$file.new
    mv $file.new $file
"""


def version() -> str:
    """A name for these files as they are, so that an image of older ones is not taken for theirs."""
    texts = (path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.is_file())
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:12]

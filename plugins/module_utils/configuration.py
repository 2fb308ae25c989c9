"""Pure functions on the text of main.cf and of lookup tables. Run on the managed host and on the controller.

The role's tables lie in one of two slots, the folders `a` and `b` beside main.cf. A change writes the slot that is not
in use and then replaces main.cf, which names the slot: that one rename is the whole change, so a host never has a new
table with an old main.cf.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from typing import Any

# Stands in a rendered main.cf for the slot in use.
PLACEHOLDER = "@slot@"
OWN_COMMENT = "# Managed by Ansible."
CONFIG_DIRECTORY = "/etc/postfix"
FOLDER = "smarthost"
# There from before main.cf is replaced until Postfix has taken it: a run that finds it knows that one before was
# killed in between, and that the daemon may still go by the old one.
UNFINISHED = "unfinished"
SLOTS = ("a", "b")
LOGINS = "sasl_passwd"
# What an entry of smarthost_accounts says of its account: as texts, and at all.
ACCOUNT_TEXTS = (
    "provider", "region", "host", "port", "tls", "auth", "username", "from", "oauth_tenant", "oauth_client_id",
)  # fmt: skip
ACCOUNT_KEYS = ("name", "senders", *ACCOUNT_TEXTS, "password", "oauth_client_secret", "generic")
# Whom `smarthost watch` tells; anyone who knows the addresses in it can write there.
WATCH = "watch.json"
# What accounts log in with by OAuth 2; it belongs to the user of the proxy.
OAUTH = "oauth.json"
# Map types that `postmap` compiles -> what it adds to the name of the text.
COMPILED = {"hash": ".db", "btree": ".db", "lmdb": ".lmdb", "cdb": ".cdb"}

# postconf(5): "you must stop and start Postfix when this parameter changes", and what the master
# daemon reads only once.
_RESTART = (
    "inet_interfaces",
    "inet_protocols",
    "queue_directory",
    "data_directory",
    "mail_owner",
    "setgid_group",
    "process_id_directory",
)


# What the login at the provider depends on, besides the tables of logins and senders.
_LOGIN = (
    "relayhost",
    "smtp_tls_wrappermode",
    "smtp_tls_security_level",
    "smtp_tls_CAfile",
    "smtp_sasl_auth_enable",
    "smtp_sasl_password_maps",
)
LOGIN_TABLES = (LOGINS, "generic")
_SHARED = ("smtp_tls_CAfile",)
# What each further account has for itself, in a service of master.cf that is a copy of smtp but for these. Their values
# stand in main.cf, so that master.cf changes only where an account comes or goes.
OF_ACCOUNT = (
    "relayhost", "smtp_tls_wrappermode", "smtp_tls_security_level", "smtp_sasl_auth_enable", "smtp_sasl_password_maps",
    "smtp_generic_maps", "smtp_header_checks", "smtp_connection_reuse_count_limit",
)  # fmt: skip
# By these a mail gets its sender and its recipients when it is queued.
SENDER_TABLES = ("sender", "foreign_sender")
RECIPIENTS = "virtual"
# Through which account a sender's mail leaves.
RELAY = "relay"
# What it says, smarthost retry decides.
SECOND_WAY = "second_way"


def logical_lines(text: str) -> list[str]:
    """The lines of main.cf or master.cf; comments skipped and continued lines joined."""
    logical: list[str] = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0].isspace() and logical:
            logical[-1] += " " + line.strip()
        else:
            logical.append(line)
    return logical


def parse_main_cf(text: str) -> dict[str, str]:
    """Name -> value, the last one counts.

    >>> parse_main_cf("a = 1\\n# c\\n  2\\nb=\\n")
    {'a': '1 2', 'b': ''}
    """
    pairs = (line.partition("=") for line in logical_lines(text))
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def filled_in(value: str, values: Mapping[str, str]) -> str:
    """A value with the parameters that it names, as far as main.cf sets them.

    >>> filled_in("hash:$b ${c}  $d", {"b": "/x", "c": "$b"})
    'hash:/x /x $d'
    """
    for _round in range(3):
        value = re.sub(r"\$(?:(\w+)|[({](\w+)[)}])", lambda found: values.get(found[1] or found[2], found[0]), value)
    return " ".join(value.split())


def password_maps(main_cf: str) -> str:
    """The list of tables that a main.cf has logins in."""
    values = parse_main_cf(main_cf)
    return filled_in(values.get("smtp_sasl_password_maps", ""), values)


def needs_restart(before: str, after: str) -> bool:
    """Whether going from one main.cf to another takes more than a reload."""
    old, new = parse_main_cf(before), parse_main_cf(after)
    return any(old.get(name) != new.get(name) for name in _RESTART)


def parameter(account: str, name: str) -> str:
    """What main.cf calls a parameter of a further account."""
    return f"smarthost_{account}_{name}"


def changes_login(before: str, after: str, account: str = "") -> bool:
    """Whether two main.cf, with the same slot filled in, log in differently to an account."""
    old, new = parse_main_cf(before), parse_main_cf(after)
    own = [parameter(account, name) for name in OF_ACCOUNT] if account else []
    return any(old.get(name) != new.get(name) for name in (*own, *(_SHARED if account else _LOGIN)))


def slot_in_use(main_cf: str, config_directory: str) -> str | None:
    """The slot that a main.cf names; None if it is not the role's.

    >>> slot_in_use("x = texthash:/etc/postfix/smarthost/b/sasl_passwd", "/etc/postfix")
    'b'
    """
    found = re.search(rf":{re.escape(config_directory)}/{FOLDER}/([ab])/", main_cf)
    return found.group(1) if found else None


def with_slot(main_cf: str, config_directory: str, slot: str) -> str:
    """A rendered main.cf with its slot filled in."""
    return main_cf.replace(PLACEHOLDER, f"{config_directory}/{FOLDER}/{slot}")


def other_slot(slot: str | None) -> str:
    """The slot that the next change is written to."""
    return SLOTS[1] if slot == SLOTS[0] else SLOTS[0]


def parse_table(text: str) -> dict[str, str]:
    """Key -> value of a table as the role writes one, a line each; keys in lower case, as postmap stores them.

    >>> parse_table("[h]:465 u:p w\\n# c\\nRoot\\tme@x\\n")
    {'[h]:465': 'u:p w', 'root': 'me@x'}
    """
    table: dict[str, str] = {}
    for line in text.split("\n"):
        if line.strip() and not line.startswith("#"):
            key, _space, value = line.replace("\t", " ", 1).partition(" ")
            table[key.lower()] = value.strip()
    return table


def password(text: str) -> str:
    """The password of a table as the role writes one for an account.

    >>> password("# c\\n[h]:465 me:a:b\\n")
    'a:b'
    """
    return next((login.partition(":")[2] for login in parse_table(text).values()), "")


def compiled_text(text: str) -> str:
    """What a table says, whatever the order of its lines: the compiled one has none.

    >>> compiled_text("b 2\\na 1\\n") == compiled_text("a\\t1\\nb\\t2\\n")
    True
    """
    return repr(sorted(parse_table(text).items()))


def map_type(main_cf: str, path: str) -> str:
    """As what a main.cf has a table read.

    >>> map_type("x = hash:/etc/a, lmdb:/etc/ab", "/etc/ab")
    'lmdb'
    """
    found = re.search(rf"(\w+):{re.escape(path)}(?![\w./-])", main_cf)
    return found.group(1) if found else "hash"


def mode_of(name: str) -> int:
    """The mode of a table."""
    return 0o600 if name in (WATCH, OAUTH) or name.startswith(LOGINS) else 0o644


def texts(
    tables: Mapping[str, str], logins: str, watch: str, further: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Name -> text of all that lies in a slot; `further` are the logins of further accounts."""
    return {**tables, LOGINS: logins, **(further or {}), **({WATCH: watch} if watch else {})}


def seal(key: str, mode: int, user: int = 0, group: int = 0, text: str | None = None) -> str:
    """Kind and mode, owner and text of a path; without the key, the text cannot be guessed from it.

    >>> seal("k", 0o100600), seal("k", 0o40755)
    ('-rw------- 0:0', 'drwxr-xr-x 0:0')
    """
    # Not above: the program needs none of it, and it takes a tenth of its start to load.
    import hashlib
    import hmac

    outside = f"{stat.filemode(mode)} {user}:{group}"
    if text is None:
        return outside
    inside = hmac.new(key.encode(), text.encode("utf-8", errors="surrogateescape"), hashlib.sha256)
    return f"{outside} {inside.hexdigest()}"


def expected(
    directory: str, slot: str, main_cf: str, tables: Mapping[str, str], compiled: Mapping[str, str], key: str
) -> dict[str, str]:
    """Path -> seal of main.cf and its tables as they should be; `tables` are all `texts`."""
    folder = f"{directory}/{FOLDER}"
    found = {
        f"{directory}/main.cf": seal(key, stat.S_IFREG | 0o644, text=with_slot(main_cf, directory, slot)),
        folder: seal(key, stat.S_IFDIR | 0o755),
        f"{folder}/{slot}": seal(key, stat.S_IFDIR | 0o755),
    }
    for name, text in tables.items():
        path, mode = f"{folder}/{slot}/{name}", stat.S_IFREG | mode_of(name)
        found[path] = seal(key, mode, text=None if name == SECOND_WAY else text)
        if name in compiled:
            found[path + COMPILED[compiled[name]]] = seal(key, mode, text=compiled_text(text))
    return found


def differences(found: Mapping[str, str], wanted: Mapping[str, str], directory: str) -> list[str]:
    """The paths that are not as they should be.

    Anything else in the role's folder is not ours, was left by a run that was killed, or is a copy of the password.
    What was there before the role is root's alone.

    >>> differences({"/p/smarthost/original/x": seal("", 0o100644), "/p/main.cf": "-"}, {"/p/main.cf": "-"}, "/p")
    ['/p/smarthost/original/x']
    """
    original = f"{directory}/{FOLDER}/original"
    kept = {
        path: seal("", stat.S_IFDIR | 0o700 if path == original else stat.S_IFREG | 0o600)
        for path in found
        if path == original or path.startswith(original + "/")
    }
    wanted = {**wanted, **kept}
    return [path for path in {**wanted, **found} if found.get(path) != wanted.get(path)]


def is_in_place(seen: Mapping[str, Any], wanted: Mapping[str, Any], key: str) -> bool:
    """Whether nothing is left to do on a host: `seen` by `postfix_info`, `wanted` of `postfix`."""
    slot, directory = seen["slot"], wanted.get("config_directory", CONFIG_DIRECTORY).rstrip("/")
    if slot is None or seen["to_do"] or seen["against"] or wanted["ca_file"] not in seen["ca_files"]:
        return False
    tables = texts(
        wanted.get("tables", {}), wanted["sasl_passwd"], wanted.get("watch", ""), wanted.get("passwords", {})
    )
    should_be = expected(directory, slot, wanted["main_cf"], tables, wanted.get("compiled", {}), key)
    needed = set(wanted.get("services", {}))
    there = needed <= set(seen["services"]) and set(seen["copies"]) <= needed
    return there and not differences(seen["files"], should_be, directory)


def expanded(maps: str, directory: str) -> str:
    """A list of lookup tables without the variables that people use there.

    A table without a type is what `postmap` takes for one of the default type.

    >>> expanded("hash:$config_directory/x, ${default_database_type}:/y", "/etc/postfix")
    'hash:/etc/postfix/x, /y'
    """
    # Those that only pass on what others say.
    maps = re.sub(r"\b(?:proxy|unionmap|pipemap):|[{}](?=[\s,}]|\w+:|$)", " ", maps)
    maps = re.sub(r"\$(?:config_directory\b|[{(]config_directory[})])", directory, maps)
    return re.sub(r"\$(?:default_database_type|[{(]default_database_type[})]):", "", maps)


def table_files(maps: str, directory: str) -> list[str]:
    """The files of a list of lookup tables, in the spelling of main.cf.

    >>> table_files("hash:/etc/postfix/sasl_passwd, static:x, $default_database_type:/y", "/etc/postfix")
    ['/etc/postfix/sasl_passwd', '/y']
    """
    return re.findall(
        r"(?:^|[\s,])(?:(?:hash|btree|lmdb|cdb|dbm|sdbm|texthash|regexp|pcre):)?(/[^\s,{}]+)", expanded(maps, directory)
    )


def serves_nobody(main_cf: str) -> bool:
    """Whether this is what tasks/install.yml writes before Postfix is installed, and no one's choice.

    >>> serves_nobody("master_service_disable = inet, unix\\n")
    True
    """
    return parse_main_cf(main_cf).get("master_service_disable") == "inet, unix"


# Networks that are the host itself.
LOOPBACK = re.compile(r"127\.[\d./]*|\[::1\](/128)?|\[::ffff:127\.[\d.]*\](/\d+)?")


def clients(values: Mapping[str, str]) -> list[str]:
    """The networks besides loopback that a main.cf lets send.

    >>> clients({"mynetworks": "127.0.0.0/8, [::1]/128, 172.17.0.0/16"})
    ['172.17.0.0/16']
    """
    networks = re.split(r"[\s,]+", values.get("mynetworks", ""))
    return [network for network in networks if network and not LOOPBACK.fullmatch(network)]


def complaints(stderr: str) -> list[str]:
    """What postconf says against a configuration, without its own name and the path of a copy.

    What a service of master.cf names and nothing sets is empty there: the distributions' own lines do that.

    >>> complaints("postconf: warning: /tmp/x/main.cf: unused parameter: foo=1\\n")
    ['unused parameter: foo=1']
    >>> complaints("postconf: warning: /tmp/x/master.cf: undefined parameter: mua_client_restrictions\\n")
    []
    """
    lines = (re.sub(r"^\S*postconf\S*: (?:warning|fatal|error): ", "", line) for line in stderr.splitlines())
    words = (re.sub(r"^\S*main\.cf(?:, line \d+)?: |^\S*/(?=master\.cf\b)", "", line).strip() for line in lines)
    return [line for line in words if line and not re.match(r"master\.cf: (undefined|unused) parameter", line)]

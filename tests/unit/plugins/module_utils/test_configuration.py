"""The text of main.cf and of lookup tables: read and compared."""

from __future__ import annotations

import stat
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.module_utils import configuration
from hypothesis import given
from hypothesis import strategies as st

ETC = "/etc/postfix"
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
# Printable text without spaces at its ends, as every value is that the rules let through.
VALUES = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])).map(str.strip)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param("a = 1\n", {"a": "1"}, id="usual"),
        pytest.param("a=1", {"a": "1"}, id="without spaces and without a last line end"),
        pytest.param("a =\n", {"a": ""}, id="empty value"),
        pytest.param("a = b = c\n", {"a": "b = c"}, id="the first equals sign counts"),
        pytest.param("a = 1\na = 2\n", {"a": "2"}, id="the last one counts"),
        pytest.param("a = 1\n  2\n\t3\n", {"a": "1 2 3"}, id="continued lines"),
        pytest.param("a =\n  1,\n# why\n\n  2\n", {"a": "1, 2"}, id="comments within a value"),
        pytest.param("# a = 1\n  # b = 2\n", {}, id="comments"),
        pytest.param("a = # no comment\n", {"a": "# no comment"}, id="a comment is a whole line"),
        pytest.param("a = 1\r\nb = 2\r\n", {"a": "1", "b": "2"}, id="line ends of Windows"),
        pytest.param("nonsense\na = 1\n", {"a": "1"}, id="a line that says nothing"),
    ],
)
def test_main_cf_is_read_as_postfix_reads_it(text: str, expected: dict[str, str]) -> None:
    assert configuration.parse_main_cf(text) == expected


@given(st.dictionaries(NAMES, VALUES))
def test_main_cf_written_and_read_is_the_same(parameters: dict[str, str]) -> None:
    text = "".join(f"{name} = {value}\n" for name, value in parameters.items())
    assert configuration.parse_main_cf(text) == parameters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param("root bob@x.org\n", {"root": "bob@x.org"}, id="a space"),
        pytest.param("root\tbob@x.org\n", {"root": "bob@x.org"}, id="a tab, as postmap prints it"),
        pytest.param("root   bob@x.org  \n", {"root": "bob@x.org"}, id="more spaces"),
        pytest.param("Root bob@x.org\n", {"root": "bob@x.org"}, id="keys are lower case"),
        pytest.param("# root x\n\nroot y\n", {"root": "y"}, id="comments and empty lines"),
        pytest.param("[h]:465 u:p w\n", {"[h]:465": "u:p w"}, id="spaces in a value stay"),
        pytest.param("root a@x.org, b@x.org", {"root": "a@x.org, b@x.org"}, id="no last line end"),
    ],
)
def test_a_table_is_read_as_postmap_reads_it(text: str, expected: dict[str, str]) -> None:
    assert configuration.parse_table(text) == expected


@given(st.dictionaries(st.from_regex(r"[a-z@\[][a-z0-9@.\]:]{0,20}", fullmatch=True), VALUES))
def test_a_table_written_and_read_is_the_same(table: dict[str, str]) -> None:
    text = "".join(f"{key} {value}\n" for key, value in table.items())
    assert configuration.parse_table(text) == table


@pytest.mark.parametrize(
    ("before", "after", "restart"),
    [
        ("a = 1\n", "a = 2\n", False),
        ("inet_interfaces = all\n", "inet_interfaces = loopback-only\n", True),
        ("inet_protocols = all\n", "inet_protocols=all\n# same\n", False),
        ("", "inet_interfaces = all\n", True),
        ("inet_protocols = ipv4\n", "", True),
        ("", "", False),
    ],
)
def test_postfix_restarts_only_where_a_reload_is_not_enough(before: str, after: str, restart: bool) -> None:
    assert configuration.needs_restart(before, after) is restart


@pytest.mark.parametrize("slot", configuration.SLOTS)
@pytest.mark.parametrize("directory", [ETC, "/opt/p+f(1)/etc"])
def test_the_slot_that_was_filled_in_is_found_again(slot: str, directory: str) -> None:
    rendered = "a = texthash:@slot@/sasl_passwd\nb = regexp:@slot@/header_checks\n"
    main_cf = configuration.with_slot(rendered, directory, slot)
    assert configuration.PLACEHOLDER not in main_cf
    assert configuration.slot_in_use(main_cf, directory) == slot


@pytest.mark.parametrize(
    "main_cf",
    [
        "",
        "smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd\n",
        "a = texthash:/etc/postfix/smarthost/c/x\n",
        "a = texthash:/etc/other/smarthost/a/x\n",
        "a = texthash:/etc/postfix/smarthost/original/x\n",
    ],
    ids=["empty", "somebody else's", "no slot of ours", "another Postfix's", "the copy kept"],
)
def test_a_main_cf_of_somebody_else_names_no_slot(main_cf: str) -> None:
    assert configuration.slot_in_use(main_cf, ETC) is None


def test_a_change_goes_into_the_slot_that_is_not_in_use() -> None:
    assert configuration.other_slot("a") == "b"
    assert configuration.other_slot("b") == "a"
    assert configuration.other_slot(None) in configuration.SLOTS


@pytest.mark.parametrize(
    ("stderr", "expected"),
    [
        ("", []),
        ("\n  \n", []),
        (
            "postconf: warning: /tmp/x/main.cf: unused parameter: foo=1\n",
            ["unused parameter: foo=1"],
        ),
        (
            "/usr/sbin/postconf: fatal: /tmp/x/main.cf, line 3: missing '=' after attribute name\n",
            ["missing '=' after attribute name"],
        ),
        (
            "postconf: warning: a\npostconf: error: b\n",
            ["a", "b"],
        ),
    ],
)
def test_complaints_of_postconf_lose_its_name_and_the_path_of_the_copy(stderr: str, expected: list[str]) -> None:
    assert configuration.complaints(stderr) == expected


@pytest.mark.parametrize(
    ("maps", "files"),
    [
        ("hash:/etc/postfix/sasl_passwd", ["/etc/postfix/sasl_passwd"]),
        ("lmdb:/a/b, texthash:/c static:x:y", ["/a/b", "/c"]),
        ("static:me:word", []),
        ("proxy:hash:/a", ["/a"]),
        ("unionmap:{proxy:lmdb:/a, { hash:/b }}", ["/a", "/b"]),
        ("pcre:/a proxy:ldap:/b", ["/a"]),
        ("", []),
    ],
)
def test_the_password_files_of_another_configuration_are_found(maps: str, files: list[str]) -> None:
    assert configuration.table_files(maps, ETC) == files


def test_a_table_that_another_parameter_names_is_found() -> None:
    text = "mine = proxy:hash:${folder}/a\nfolder = /b\nsmtp_sasl_password_maps =\n $mine\n"
    assert configuration.table_files(configuration.password_maps(text), ETC) == ["/b/a"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("relayhost = [a]:465", "relayhost = [b]:465", True),
        ("smtp_tls_CAfile = /a", "smtp_tls_CAfile = /b", True),
        ("biff = yes\nrelayhost = [a]:465", "relayhost = [a]:465", False),
    ],
)
def test_a_login_is_tried_again_only_where_it_changes(before: str, after: str, expected: bool) -> None:
    assert configuration.changes_login(before, after) is expected


# --- whether a host is as it should be ------------------------------------------------------------

KEY = "k"
WANTED: dict[str, Any] = {
    "main_cf": "relayhost = [h]:465\nsmtp_sasl_password_maps = texthash:@slot@/sasl_passwd\n",
    "tables": {"canonical": "root a@b.org\n", "virtual": "root a@b.org\n"},
    "sasl_passwd": "[h]:465 me:one\n",
    "watch": "{}\n",
    "compiled": {"virtual": "hash"},
    "services": {"tlsproxy/unix": "tlsproxy unix …"},
    "ca_file": "/ca.pem",
}


def _seen(**others: Any) -> dict[str, Any]:
    """A host that is as it should be."""
    texts = configuration.texts(WANTED["tables"], WANTED["sasl_passwd"], WANTED["watch"])
    files = configuration.expected(ETC, "b", WANTED["main_cf"], texts, WANTED["compiled"], KEY)
    files[f"{ETC}/smarthost/original"] = configuration.seal("", stat.S_IFDIR | 0o700)
    files[f"{ETC}/smarthost/original/main.cf"] = configuration.seal("", stat.S_IFREG | 0o600)
    there = {
        "slot": "b",
        "files": files,
        "services": ["smtp/inet", "tlsproxy/unix"],
        "copies": [],
        "to_do": [],
        "against": [],
        "ca_files": ["/ca.pem"],
    }
    return {**there, **others}


def test_a_host_that_is_as_it_should_be_needs_no_second_call() -> None:
    assert configuration.is_in_place(_seen(), WANTED, KEY)


@pytest.mark.parametrize("path", sorted(_seen()["files"]))
@pytest.mark.parametrize("how", ["gone", "open to others", "somebody's", "other text"])
def test_every_path_that_is_otherwise_is_a_difference(path: str, how: str) -> None:
    files = _seen()["files"]
    kind, owner, *text = files[path].split()
    others = {
        "gone": None,
        "open to others": " ".join([kind[:-1] + "w", owner, *text]),
        "somebody's": " ".join([kind, "1000:0", *text]),
        "other text": " ".join([kind, owner, configuration.seal(KEY, 0, text="other").split()[-1]]),
    }
    if others[how] is None:
        del files[path]
    else:
        files[path] = others[how]
    # Of what was there before the role, it is not known what should be there.
    whatever = how == "gone" and "/original" in path
    assert configuration.is_in_place(_seen(files=files), WANTED, KEY) == whatever


@pytest.mark.parametrize(
    "otherwise",
    [
        pytest.param({"slot": None}, id="the main.cf of somebody else"),
        pytest.param({"to_do": ["started Postfix"]}, id="Postfix does not run"),
        pytest.param({"against": ["smtp/unix has …"]}, id="master.cf breaks a promise"),
        pytest.param({"services": ["smtp/inet"]}, id="a service is missing"),
        pytest.param({"ca_files": []}, id="no CA bundle"),
        pytest.param({"copies": ["smarthost-x/unix"]}, id="the service of an account that is no more"),
    ],
)
def test_whatever_is_to_be_done_needs_a_second_call(otherwise: dict[str, Any]) -> None:
    assert not configuration.is_in_place(_seen(**otherwise), WANTED, KEY)


@pytest.mark.parametrize("name", ["unfinished", "a", "b/sasl_passwd.bak", "b/canonical.db"])
def test_what_lies_beside_the_tables_is_a_difference(name: str) -> None:
    files = _seen()["files"] | {f"{ETC}/smarthost/{name}": configuration.seal(KEY, stat.S_IFREG | 0o600)}
    assert not configuration.is_in_place(_seen(files=files), WANTED, KEY)


@given(st.text(), st.text(), st.text(min_size=1), st.text(min_size=1))
def test_a_seal_tells_nothing_without_its_key(one: str, other: str, key: str, guess: str) -> None:
    sealed = configuration.seal(key, stat.S_IFREG | 0o600, text=one)
    assert (sealed == configuration.seal(key, stat.S_IFREG | 0o600, text=other)) == (one == other)
    # HMAC fills a key up with zero bytes.
    if key.rstrip("\0") != guess.rstrip("\0"):
        assert sealed != configuration.seal(guess, stat.S_IFREG | 0o600, text=one)

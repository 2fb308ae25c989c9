"""Hostile values through a real postmap: what Postfix looks up is what was given, or the run refused it."""

from __future__ import annotations

from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import addresses
from ansible_collections.homelab.mail.plugins.plugin_utils import templates
from conftest import LAB, OLD_AND_NEW
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests import rendering
from workshop.lab.host import exec

# Everything that means something to Postfix, a shell, Jinja or YAML, beside any character at all.
HOSTILE = st.one_of(
    st.text(max_size=24),
    st.text(alphabet="ab \t\n\r:;,#$\\\"'`{}[]()<>|&%@=!*~^/.-_ é€ß日\u200b\x00\x85", max_size=24),
    st.sampled_from(
        ["$myhostname", "a\nrelayhost = evil", "#a", "{{ 1 }}", "a  b", "texthash:/x", "!a", "a:b", "ä" * 40]
    ),
)
ONE_IN_A_TABLE = 260
CUSTOM = {
    "host": "relay.bobs.org", "port": 465, "tls": "implicit", "username": "bob", "password": "k3j5h6g7",
    "from_": "bob@bobs.org",
}  # fmt: skip
HUNDREDS = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    # Hundreds of pairs are looked for at once; making one that fails smaller would take an hour.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def looked_up(container: str, text: str, keys: list[str], kind: str = "texthash") -> dict[str, str]:
    """What postmap finds under the keys in a table of this text."""
    exec(container, "sh", "-c", "cat >/run/table", input=text)
    done = exec(
        container, "postmap", "-q", "-", f"{kind}:/run/table", input="".join(f"{key}\n" for key in keys), check=False
    )
    assert "warning" not in done.stderr, done.stderr
    return dict(line.split("\t", 1) for line in done.stdout.split("\n") if line)


@OLD_AND_NEW
@HUNDREDS
@given(logins=st.lists(st.tuples(HOSTILE, HOSTILE), min_size=ONE_IN_A_TABLE, max_size=ONE_IN_A_TABLE))
def test_postfix_finds_each_login_just_as_it_was_given(name: str, logins: list[tuple[str, str]]) -> None:
    # A good one among them, so that there is always a table.
    good = ("bob@fastmail.com", "k3j5h6g7f8d9s0a1")
    accounts: list[dict[str, Any]] = rendering.judge(username=good[0], password=good[1]).secrets["logins"]
    for number, (username, password) in enumerate(logins):
        server = {"host": f"relay{number}.bobs.org", "port": 465, "tls": "implicit", "from_": "bob@bobs.org"}
        verdict = rendering.judge(provider="custom", username=username, password=password, **server)
        if not verdict.faults:
            accounts += verdict.secrets["logins"]
    expected = {f"[{a['host']}]:{a['port']}": f"{a['username']}:{a['password']}" for a in accounts}
    # What was accepted was not bent on the way.
    assert set(expected.values()) <= {f"{username}:{password}" for username, password in [good, *logins]}
    keys = ["[smtp.fastmail.com]:465", *(f"[relay{number}.bobs.org]:465" for number in range(len(logins)))]
    template = templates.TEMPLATES["sasl_passwd"]
    text = "".join(template.render(__smarthost_login=account) for account in accounts)
    assert looked_up(f"{LAB}-{name}", text, keys) == expected


@OLD_AND_NEW
@HUNDREDS
@given(pairs=st.lists(st.tuples(HOSTILE, HOSTILE), min_size=ONE_IN_A_TABLE, max_size=ONE_IN_A_TABLE))
def test_postfix_finds_each_alias_just_as_it_was_given(name: str, pairs: list[tuple[str, str]]) -> None:
    aliases = {}
    for number, (user, local) in enumerate(pairs):
        entry = {f"u{number}{user}": f"{local}@bobs.org"}
        if not rendering.judge(aliases=entry).faults:
            aliases.update(entry)
    verdict = rendering.judge(aliases={**aliases, "root": "bob@bobs.org"})
    assert not verdict.faults
    text = rendering.render(verdict)["virtual"]
    # Spaces and commas around an address are not part of it.
    bare = {user: ", ".join(filter(None, map(str.strip, target.split(",")))) for user, target in aliases.items()}
    expected = {f"{user}@nas.lan": target for user, target in bare.items()}
    # Who is not named, and where a name is only a part of theirs.
    expected |= {f"u{number}@nas": "bob@bobs.org" for number in range(len(pairs)) if f"u{number}" not in bare}
    expected |= {f"x{user}@nas": "bob@bobs.org" for user in bare}
    found = looked_up(f"{LAB}-{name}", text, [*expected, *(f"{user}@bobs.org" for user in bare)], "regexp")
    assert sorted(set(found.items()) ^ set(expected.items())) == []


@OLD_AND_NEW
@HUNDREDS
@given(pairs=st.lists(st.tuples(HOSTILE, HOSTILE), min_size=ONE_IN_A_TABLE, max_size=ONE_IN_A_TABLE))
def test_postfix_finds_each_sender_just_as_it_was_given(name: str, pairs: list[tuple[str, str]]) -> None:
    generic = {}
    for number, (user, local) in enumerate(pairs):
        domain = ("", "@nas.lan", "@old.test")[number % 3]
        entry = {f"u{number}{user}{domain}": f"{local}@bobs.org"}
        if not rendering.judge(provider="custom", **CUSTOM, generic=entry).faults:
            generic.update(entry)
    verdict = rendering.judge(provider="custom", **CUSTOM, generic=generic)
    assert not verdict.faults
    files, container = rendering.render(verdict), f"{LAB}-{name}"
    senders = {local if "@" in local else f"{local}@3f2a1b9c": public for local, public in generic.items()}
    forms = looked_up(container, files["sender"], list(senders), "regexp")
    assert set(forms) == {local for local in senders if not addresses.is_private_domain(addresses.domain_of(local))}
    # As Postfix does it: the form in which a sender waits, and what that becomes.
    found = looked_up(container, files["generic"], [forms.get(local, local) for local in senders], "regexp")
    assert {local: found[forms.get(local, local)] for local in senders} == senders
    assert looked_up(container, files["generic"], list(generic.values()), "regexp") == {}

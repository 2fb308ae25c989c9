"""Hostile values through a real postmap: what Postfix looks up is what was given, or the run refused it."""

from __future__ import annotations

from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import addresses
from conftest import LAB, OLD_AND_NEW
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lab.host import exec
from tests import rendering

# Everything that means something to Postfix, a shell, Jinja or YAML, beside any character at all.
HOSTILE = st.one_of(
    st.text(max_size=24),
    st.text(alphabet="ab \t\n\r:;,#$\\\"'`{}[]()<>|&%@=!*~^/.-_ é€ß日\u200b\x00\x85", max_size=24),
    st.sampled_from(
        ["$myhostname", "a\nrelayhost = evil", "#a", "{{ 1 }}", "a  b", "texthash:/x", "!a", "a:b", "ä" * 40]
    ),
)
ONE_IN_A_TABLE = 260
HUNDREDS = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    # Hundreds of pairs are looked for at once; making one that fails smaller would take an hour.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def looked_up(container: str, text: str, keys: list[str]) -> dict[str, str]:
    """What postmap finds under the keys in a table of this text."""
    exec(container, "sh", "-c", "cat >/run/table", input=text)
    done = exec(
        container, "postmap", "-q", "-", "texthash:/run/table", input="".join(f"{key}\n" for key in keys), check=False
    )
    assert "warning" not in done.stderr, done.stderr
    return dict(line.split("\t", 1) for line in done.stdout.split("\n") if line)


@OLD_AND_NEW
@HUNDREDS
@given(logins=st.lists(st.tuples(HOSTILE, HOSTILE), min_size=ONE_IN_A_TABLE, max_size=ONE_IN_A_TABLE))
def test_postfix_finds_each_login_just_as_it_was_given(name: str, logins: list[tuple[str, str]]) -> None:
    # A good one among them, so that there is always a table.
    good = ("bob@fastmail.com", "k3j5h6g7f8d9s0a1")
    plan = rendering.judge(username=good[0], password=good[1]).plan
    accounts: list[dict[str, Any]] = list(plan["accounts"])
    for number, (username, password) in enumerate(logins):
        server = {"host": f"relay{number}.bobs.org", "port": 465, "tls": "implicit", "from_": "bob@bobs.org"}
        verdict = rendering.judge(provider="custom", username=username, password=password, **server)
        if not verdict.faults:
            accounts += verdict.plan["accounts"]
    plan["accounts"] = accounts
    expected = {f"[{a['host']}]:{a['port']}": f"{a['username']}:{a['password']}" for a in accounts}
    # What was accepted was not bent on the way.
    assert set(expected.values()) <= {f"{username}:{password}" for username, password in [good, *logins]}
    keys = ["[smtp.fastmail.com]:465", *(f"[relay{number}.bobs.org]:465" for number in range(len(logins)))]
    assert looked_up(f"{LAB}-{name}", rendering.render(plan)["sasl_passwd"], keys) == expected


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
    text = rendering.render(verdict.plan)["virtual"]
    names = addresses.local_names("nas.lan", "nas.lan", "nas")
    # Spaces and commas around an address are not part of it.
    bare = {user: ", ".join(filter(None, map(str.strip, target.split(",")))) for user, target in aliases.items()}
    expected = {user.lower(): target for user, target in bare.items()} | {"root": "bob@bobs.org"}
    expected |= {f"@{name}": "bob@bobs.org" for name in names}
    asked = [*expected, *(f"u{number}" for number in range(len(pairs)) if f"u{number}" not in expected)]
    found = looked_up(f"{LAB}-{name}", text, asked)
    assert sorted(set(found.items()) ^ set(expected.items())) == []

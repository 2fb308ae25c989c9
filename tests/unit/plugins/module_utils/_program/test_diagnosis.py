"""What replies of providers and lines of Postfix's log mean: each that roles/smarthost/providers has, as it is met.

A case is a real line, the preset that it is asked of, and the entry that it has to be.
"""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._program import diagnosis
from hypothesis import given
from hypothesis import strategies as st

from workshop.pages import provider_files, provider_schema

ENTRIES = {entry.key: entry for entry in diagnosis.TABLE}
MET = tuple(provider_files.met())
PRESETS = provider_files.presets()
KINDS = provider_schema.REPLY["kind"].choices


def occurs(sentence: str, text: str) -> bool:
    """Whether the sentence is in the text, its parts in order and anything between them."""
    return bool(re.search(".*".join(re.escape(part.strip()) for part in sentence.lower().split("…")), text))


def texts(line: str) -> tuple[str, str]:
    """A line as it is matched: at first without what Postfix put around it."""
    plain = diagnosis._plain(line)
    return diagnosis._unframed(plain), plain


def asked_of(met: provider_files.Met, line: str) -> tuple[str | None, ...]:
    """The presets of a line, or none and custom; these as well if a sentence means the same from anyone."""
    anyone = not met.presets or any(occurs(said, text) for said in ENTRIES[met.key].says for text in texts(line))
    return (*met.presets, *((None, "custom") if anyone else ()))


CASES = [(provider, line, met.key) for met in MET for line in met.lines for provider in asked_of(met, line)]
each_met = pytest.mark.parametrize("met", MET, ids=[f"{met.key}: {met.said[-40:]!r}" for met in MET])

# The entry that refuses a login, by preset: what any server says of a login, it explains in this provider's terms.
LOGIN_KEYS = {
    preset: reply["key"]
    for preset in PRESETS
    for name, file in provider_files.files().items()
    for reply in file.get("replies", [])
    if preset in provider_files.whose(name) and reply.get("like") == "login-refused"
}
LOGIN_LINES = [line for met in MET if met.key == "login-refused" for line in met.lines]
ALL_CASES = [*CASES, *((preset, line, key) for preset, key in LOGIN_KEYS.items() for line in LOGIN_LINES)]

# One line, several reasons, of those that have been so from the beginning.
AMBIGUOUS = (
    "fastmail-login-refused",
    "icloud-login-refused",
    "gmail-login-refused",
    "google-relay-login-refused",
    "google-relay-denied",
    "microsoft-credentials",
    "microsoft-criteria",
    "microsoft-login-refused",
    "mailgun-login-refused",
    "mailgun-relay-denied",
    "ses-login-refused",
    "gmx-login-refused",
    "mail-com-login-refused",
    "web-de-login-refused",
    "zoho-login-refused",
    "login-refused",
    "sasl-no-mechanism",
    "sasl-nothing-in-common",
    "sasl-plugin-failed",
    "certificate-untrusted",
    "certificate-expired",
    "certificate-not-yet-valid",
    "certificate-not-verified",
    "starttls-not-offered",
    "tls-settings",
    "tls-handshake",
    "tls-no-greeting",
    "host-not-found",
    "name-service-down",
    "relayhost-problem",
    "connection-timed-out",
    "connection-refused",
    "network-unreachable",
    "connection-lost",
)

UNKNOWN = (
    "",
    "   ",
    "250 2.0.0 Ok: queued as 4XyZ1k3Qp2z5",
    "550 5.1.1 <nobody@example.net>: Recipient address rejected: User unknown in virtual mailbox table",
    provider_files.Met((), "", "message", "554 5.6.0 Something that nobody has met").lines[1],
    "535",
    "535 5.7.8",
    "5.7.139",
    "554 5.7.1",
    "SASL authentication failure: Unable to find a callback: 18948",
    "Übermäßig viele Grüße",
)


def key_of(text: str, provider: str | None = None) -> str | None:
    failure = diagnosis.explain(text, provider)
    return failure.key if failure else None


# --- what a text means ------------------------------------------------------------------------


@each_met
def test_line_is_understood(met: provider_files.Met) -> None:
    for line in met.lines:
        assert {provider: key_of(line, provider) for provider in asked_of(met, line)} == dict.fromkeys(
            asked_of(met, line), met.key
        ), line


@each_met
def test_neither_case_nor_breaks_nor_the_rest_of_the_log_count(met: provider_files.Met) -> None:
    delivery = (
        "Nov 21 09:15:02 nas postfix/smtp[2114]: 4XyZ1k3Qp2z5: to=<casey@example.net>, orig_to=<root>, "
        "relay=smtp.example.org[192.0.2.25]:587, delay=1.4, delays=0.05/0.03/1.2/0.12, dsn=4.7.8, status=deferred"
    )
    for line in met.lines:
        forms = (
            line.upper(),
            line.replace(" ", "\n  "),
            f"Nov 21 09:15:02 nas postfix/smtp[2114]: 4XyZ1k3Qp2z5: {line}; see above",
            f"{delivery} ({line})",
            f"{delivery} (delivery temporarily suspended: {line})",
        )
        for provider in asked_of(met, line):
            assert [key_of(form, provider) for form in forms] == [met.key] * len(forms), (line, provider)


@pytest.mark.parametrize("preset", PRESETS)
def test_what_anyone_says_means_the_same_from_a_provider_that_says_no_more_of_it(preset: str) -> None:
    own = [entry for entry in diagnosis.TABLE if preset in entry.providers]
    for met in MET:
        for line in met.lines if not met.presets else ():
            ranks = [
                [
                    (len("".join(said.split("…"))), entry.key != met.key, entry.key)
                    for entry in (*own, ENTRIES[met.key])
                    for said in (*entry.says, *entry.says_there)
                    if occurs(said, text)
                ]
                for text in texts(line)
            ]
            assert key_of(line, preset) == max(ranks[0] or ranks[1])[2], line


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if preset not in ("custom", "hub")])
def test_refused_login_gives_the_providers_own_remedy(preset: str) -> None:
    assert len(LOGIN_LINES) > 10
    assert {key_of(line, preset) for line in LOGIN_LINES} == {LOGIN_KEYS[preset]}


def test_sentence_that_others_say_too_means_it_only_there() -> None:
    assert key_of("451 Temporary service failure", "ses") == "ses-temporary"
    assert key_of("451 Temporary service failure") is None
    assert key_of("451 Temporary service failure", "fastmail") is None


@pytest.mark.parametrize("line", UNKNOWN)
@pytest.mark.parametrize("provider", [None, "fastmail", "custom", "no-such-preset"])
def test_unknown_text_stays_as_it_is(line: str, provider: str | None) -> None:
    assert diagnosis.explain(line, provider) is None


@given(st.text(), st.sampled_from([None, *PRESETS]))
def test_any_text_gets_an_answer(text: str, provider: str | None) -> None:
    assert diagnosis.explain(text, provider) in (None, *diagnosis.TABLE)


def test_an_entry_says_what_happened_why_and_what_to_do() -> None:
    told = diagnosis.explain("535 5.7.0 Incorrect username, password or access token", "fastmail")
    assert told and told.cause.startswith("Fastmail refused the login: it takes only app passwords")
    assert "Settings → Privacy & Security" in told.remedy
    assert "smarthost_password" in told.remedy
    assert told.remedy.endswith("Standard or higher.")


@pytest.mark.parametrize(
    "hostile",
    [
        "a" * 50_000,
        "[" * 50_000,
        " " * 50_000,
        "535-5.7.8 " * 5_000,
        "5." * 25_000,
        "4" * 50_000,
        "sasl authentication failed; server " * 1_500,
        "sasl authentication failed; server " + "x" * 50_000,
        "certificate verification failed for " * 1_500,
        "Host or domain name not found. Name service error for name=" * 1_000,
        "delivery temporarily suspended: " * 1_500 + "end",
        "\x00\ud800İ" * 10_000,
    ],
    ids=lambda text: f"{text[:12]!r} × {len(text)}",
)
def test_long_hostile_text_gets_an_answer(hostile: str) -> None:
    assert diagnosis.explain(hostile, "fastmail") in (None, *diagnosis.TABLE)


# --- the table --------------------------------------------------------------------------------


def test_keys_are_unique_and_stable_names() -> None:
    keys = [entry.key for entry in diagnosis.TABLE]
    assert len(keys) == len(set(keys)) > 100
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", key) for key in keys)


@pytest.mark.parametrize("entry", diagnosis.TABLE, ids=lambda entry: entry.key)
def test_entry_is_complete(entry: diagnosis.Entry, providers: dict[str, Any]) -> None:
    assert entry.kind in KINDS
    assert entry.says or entry.says_there
    assert set(entry.providers) <= set(providers)
    assert entry.providers or not entry.says_there, "without a provider, these never match"
    assert not entry.link or re.fullmatch(r"https://[^\s/]+/\S+", entry.link)
    for text in (entry.cause, entry.remedy):
        assert text.endswith(".")
        assert text[0].isupper() or text.startswith("iCloud")
        assert len(text.split()) >= 4
        assert "  " not in text
        assert "\n" not in text


@pytest.mark.parametrize("entry", diagnosis.TABLE, ids=lambda entry: entry.key)
def test_remedy_names_only_variables_that_there_are(entry: diagnosis.Entry, role: Any) -> None:
    defaults = (role / "defaults" / "main.yml").read_text(encoding="utf-8")
    for name in re.findall(r"\bsmarthost_\w+", entry.cause + entry.remedy):
        assert f"\n{name}:" in defaults


def test_every_kind_is_in_use() -> None:
    assert {entry.kind for entry in diagnosis.TABLE} == set(KINDS)


def test_refused_login_with_an_own_remedy_names_the_variables() -> None:
    for preset, key in LOGIN_KEYS.items():
        if "password_refused" not in PRESETS[preset]:
            assert "smarthost_username" in ENTRIES[key].remedy, key
            assert "smarthost_password" in ENTRIES[key].remedy, key


def test_ambiguous_ones_say_in_which_order_to_check() -> None:
    in_order = {entry.key for entry in diagnosis.TABLE if re.search(r"[Cc]heck in this order: .+; .+\.", entry.remedy)}
    assert in_order >= set(AMBIGUOUS)
    assert {entry.key for entry in diagnosis.TABLE if re.search(r"[Cc]heck\b.*;", entry.remedy)} == in_order


@pytest.mark.parametrize("key", ["fastmail-account-locked", "icloud-daily-limit", "icloud-no-permission"])
def test_what_is_not_sure_is_said_to_be_so(key: str) -> None:
    assert re.search(r"not document|known from public logs only|may read", ENTRIES[key].cause)


@pytest.mark.parametrize("entry", diagnosis.TABLE, ids=lambda entry: entry.key)
def test_every_sentence_of_an_entry_is_reached(entry: diagnosis.Entry) -> None:
    """Each decides a tested line: without it, the line would mean something else or nothing to this entry."""
    lines = [(provider, line) for provider, line, key in ALL_CASES if key == entry.key]
    for field in ("says", "says_there"):
        for said_ in getattr(entry, field):
            alone = {"says": (), "says_there": (), field: (said_,)}
            lonely = diagnosis.Entry(
                entry.key, entry.kind, entry.cause, entry.remedy, entry.link, entry.providers, **alone
            )
            others = [other for other in diagnosis.TABLE if other.key != entry.key]
            index = diagnosis._index([*others, lonely])
            found = [diagnosis.explain(line, provider, index) for provider, line in lines]
            assert lonely in found, f"no tested line is decided by {said_!r}"


# --- which entry wins -------------------------------------------------------------------------


def test_more_text_wins() -> None:
    """A longer sentence is an exception to a shorter one, of whichever provider."""
    short = diagnosis.Entry("short", "login", "C.", "R.", providers=("gmx",), says=("mail denied",))
    long = diagnosis.Entry("long", "login", "C.", "R.", says=("mail denied … tuesday",))
    for table in ([short, long], [long, short]):
        index = diagnosis._index(table)
        assert diagnosis.explain("550 Mail denied until Tuesday", "gmx", index) is long
        assert diagnosis.explain("550 Mail denied until Monday", "gmx", index) is short
        assert diagnosis.explain("550 Tuesday: mail denied", "gmx", index) is short


def test_parts_of_a_sentence_follow_each_other() -> None:
    index = diagnosis._index([diagnosis.Entry("gap", "login", "C.", "R.", says=("not … nothing now",))])
    assert diagnosis.explain("it is not 42, nothing now", None, index)
    assert diagnosis.explain("nothing now, not", None, index) is None
    assert diagnosis.explain("nothing now", None, index) is None, "one text is not two parts"


def test_between_equals_the_providers_own_wins_then_anybodys() -> None:
    own = diagnosis.Entry("own", "login", "C.", "R.", providers=("gmx",), says_there=("mail denied",))
    foreign = diagnosis.Entry("foreign", "login", "C.", "R.", providers=("zoho",), says=("mail denied",))
    anybody = diagnosis.Entry("anybody", "login", "C.", "R.", says=("Mail  Denied",))
    text = "550 Mail denied"
    for table in ([own, foreign, anybody], [anybody, foreign, own], [foreign, anybody, own]):
        index = diagnosis._index(table)
        assert diagnosis.explain(text, "gmx", index) is own
        assert diagnosis.explain(text, "zoho", index) is foreign
        assert diagnosis.explain(text, "custom", index) is anybody
        assert diagnosis.explain(text, None, index) is anybody
    assert diagnosis.explain(text, None, diagnosis._index([own, foreign])) is foreign
    assert diagnosis.explain(text, None, diagnosis._index([own])) is None


def test_what_is_inside_a_frame_goes_before_the_frame() -> None:
    inside = diagnosis.Entry("inside", "login", "C.", "R.", says=("no",))
    index = diagnosis._index([*diagnosis.TABLE, inside])
    found = diagnosis.explain("delivery temporarily suspended: No", None, index)
    assert found is inside


def test_place_in_the_table_does_not_matter() -> None:
    table = list(diagnosis.TABLE)
    for seed in range(5):
        random.Random(seed).shuffle(table)
        index = diagnosis._index(table)
        for provider, line, key in ALL_CASES:
            found = diagnosis.explain(line, provider, index)
            assert found and found.key == key, line


@pytest.mark.parametrize("provider", [None, *PRESETS])
def test_no_two_entries_have_the_same_claim(provider: str | None) -> None:
    """Neither to one sentence nor, by sentences of one length, to a tested line."""
    lines = [diagnosis._unframed(diagnosis._plain(line)) for line in {line for met in MET for line in met.lines}]
    for line in lines:
        claims: dict[tuple[int, int], set[str]] = {}
        for candidate in diagnosis._sentences():
            if candidate.occurs_in(line):
                for entry, everywhere in candidate.claims:
                    standing = diagnosis._standing(entry, everywhere, provider)
                    if standing:
                        claims.setdefault((candidate.length, standing), set()).add(entry.key)
        if claims:
            assert len(claims[max(claims)]) == 1, line
    for candidate in diagnosis._sentences():
        standings = [diagnosis._standing(entry, everywhere, provider) for entry, everywhere in candidate.claims]
        highest = max(standings)
        assert highest == 0 or standings.count(highest) == 1, candidate.parts


def test_a_further_account_is_told_its_own_keys_and_not_the_first_one_s_variables() -> None:
    for preset, line, key in ALL_CASES:
        entry, other = diagnosis.meaning(line, preset), diagnosis.meaning(line, preset, "family")
        assert entry and other and (entry.key, other.key) == (key, key)
        assert "smarthost_from" not in other.remedy and "smarthost_username" not in other.remedy
        assert other.remedy == entry.remedy or "the account's " in other.remedy
    assert "the account's from" in "".join(
        found.remedy for preset, line, _key in ALL_CASES if (found := diagnosis.meaning(line, preset, "family"))
    )

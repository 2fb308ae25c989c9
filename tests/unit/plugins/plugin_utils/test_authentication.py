"""How a receiver judged a mail: its own header alone, in all the shapes that the standard allows."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.plugin_utils import authentication

PASSED = "mx.example; spf=pass smtp.mailfrom=nas@bobs.org; dkim=pass header.d=bobs.org; dmarc=pass header.from=bobs.org"
FAILED = "mx.example; spf=fail smtp.mailfrom=nas@bobs.org; dkim=none; dmarc=fail header.from=bobs.org"


def judged(*headers: str, sender: str = "NAS <nas@bobs.org>") -> dict[str, Any]:
    """What is said of a mail with these headers, from the top."""
    lines = [*headers, f"From: {sender}", "Subject: Test mail"]
    return authentication.judged("\r\n".join([*lines, "", ""]).encode(), "Fastmail")


def results(value: str, **how: str) -> dict[str, str]:
    """The results of a mail with one such header."""
    found: dict[str, str] = judged(f"Authentication-Results: {value}", "Received: from nas", **how)["results"]
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (PASSED, {"spf": "pass", "dkim": "pass", "dmarc": "pass"}),
        (FAILED, {"spf": "fail", "dkim": "none", "dmarc": "fail"}),
        ("mx.example; none", {}),
        ("mx.example 1; SPF=Pass", {"spf": "pass"}),
        ("mx.example; spf/1 = pass", {"spf": "pass"}),
        # Comments may hold everything, others and results too, and stand everywhere.
        ("mx.example (x; dkim=pass (y)); spf=fail (dmarc=pass; \\) no)", {"spf": "fail"}),
        ('mx.example (it says "); spf=fail', {"spf": "fail"}),
        ("mx.example; spf (a) = (b) pass", {"spf": "pass"}),
        # So may quoted strings.
        ('mx.example; spf=fail reason="no; dkim=pass (x"; dmarc=fail', {"spf": "fail", "dmarc": "fail"}),
        ('mx.example; spf=fail reason="a \\"; dkim=pass"; dmarc=none', {"spf": "fail", "dmarc": "none"}),
        ('"mx.example;dkim=pass"; spf=fail', {"spf": "fail"}),
        # One of several signatures is enough.
        ("mx.example; dkim=fail header.d=a.org; dkim=pass header.d=b.org", {"dkim": "pass"}),
        ("mx.example; dkim=pass header.d=a.org; dkim=fail header.d=b.org", {"dkim": "pass"}),
        ("mx.example;\r\n\tspf=pass\r\n\tsmtp.mailfrom=x@y.org;\r\n dkim=pass", {"spf": "pass", "dkim": "pass"}),
        ("mx.example; iprev=pass; x-tls=pass; auth=pass", {}),
        ("mx.example; spf=pass;", {"spf": "pass"}),
        # Quoted, a result is a word of the sender.
        ('mx.example; spf=fail smtp.mailfrom="a; dkim=pass; b"@bobs.org', {"spf": "fail"}),
        ("", {}),
        ("((((", {}),
    ],
)
def test_a_header_is_read_as_the_standard_says(value: str, expected: dict[str, str]) -> None:
    assert results(value) == expected


def test_only_the_topmost_header_counts() -> None:
    forged = f"Authentication-Results: {PASSED}"
    found = judged(f"Authentication-Results: {FAILED}", "Received: from nas", forged, "Received: from app")
    assert found["results"] == {"spf": "fail", "dkim": "none", "dmarc": "fail"}
    found = judged("Authentication-Results: mx.example; none", forged, "Received: from nas")
    assert (found["results"], found["server"]) == ({}, "mx.example")


# As iCloud writes it, below the Received of its own servers.
ICLOUD = (
    "Received: from p01-mailgateway by p01-storage", "Received: from smtp.bobs.org by p01-icloudmta (Postfix)",
    "Authentication-Results: bimi.icloud.com; bimi=skipped reason=\"insufficient dmarc\"",
    "Authentication-Results: arc.icloud.com; arc=none",
    "Authentication-Results: dmarc.icloud.com; dmarc=none header.from=bobs.org",
    "Authentication-Results: dkim-verifier.icloud.com;\r\n\tdkim=fail (2048-bit key) header.d=bobs.org",
    "Authentication-Results: spf.icloud.com; spf=pass (spf.icloud.com: domain of nas@bobs.org designates 192.0.2.1)",
)  # fmt: skip


@pytest.mark.parametrize(
    "forged",
    [
        "spf.icloud.com; dkim=pass header.d=bobs.org",
        "mx.example; iprev=pass; dmarc=pass",
        f"icloud.com; {PASSED.partition('; ')[2]}",
    ],
)
def test_a_receiver_may_write_a_header_for_each_method(forged: str) -> None:
    one = judged(*ICLOUD, f"Authentication-Results: {forged}", "Received: from nas")
    assert one["results"] == {"dmarc": "none", "dkim": "fail", "spf": "pass"}
    assert one["server"] == "bimi.icloud.com"
    # What lies below another server is its word.
    two = judged(*ICLOUD[:5], "Received: from relay", *ICLOUD[5:], "Received: from nas")
    assert two["results"] == {"dmarc": "none"}


def test_a_header_that_the_mail_was_written_with_is_none_of_the_receivers() -> None:
    found = judged("Received: by mx", "Received: from nas", f"Authentication-Results: {PASSED}")
    assert (found["results"], found["server"], found["notes"]) == ({}, "", [])


def test_a_mail_that_was_not_judged_is_no_fault() -> None:
    found = judged("Received: from nas")
    assert (found["results"], found["notes"]) == ({}, [])


@pytest.mark.parametrize(
    ("value", "notes"),
    [
        (PASSED, []),
        ("mx.example; dmarc=none; spf=pass; dkim=pass", []),
        # A mail that went through a list, or whose domain has no SPF: the signature alone carries it.
        ("mx.example; spf=none; dkim=pass; dmarc=pass", []),
        ("mx.example; spf=pass; dkim=none; dmarc=bestguesspass", []),
        (
            "mx.example; spf=softfail",
            ["SPF says softfail for bobs.org. Its DNS does not name Fastmail as a sender. Add"],
        ),
        (
            "mx.example; dkim=none",
            ["DKIM says none for bobs.org. Its DNS confirms no signature of this mail. Publish the"],
        ),
        ("mx.example; dkim=temperror", ["DKIM says temperror for bobs.org. The receiver could not look it up at that"]),
        ("mx.example; spf=permerror", ["SPF says permerror for bobs.org. Its record in the DNS has an error, or"]),
        (
            "mx.example; dmarc=fail",
            ["DMARC says fail for bobs.org. Neither SPF nor DKIM passed for it. Publish the DKIM"],
        ),
        (
            "mx.example; spf=pass smtp.mailfrom=a@fastmail.com; dkim=pass header.i=@fastmail.com; dmarc=fail",
            ["DMARC says fail for bobs.org. What passed is for fastmail.com, not for the domain of"],
        ),
    ],
)
def test_what_fails_is_said_with_what_to_do(value: str, notes: list[str]) -> None:
    found = judged(f"Authentication-Results: {value}", "Received: from nas")["notes"]
    assert len(found) == len(notes)
    for given, expected in zip(found, notes, strict=True):
        assert given.startswith(expected) and given.endswith(".") and "{" not in given


@pytest.mark.parametrize(
    ("sender", "shown"),
    [
        ("root <casey@fastmail.com>", "root <casey@fastmail.com>"),
        ("=?utf-8?q?K=C3=BCche?= <a@b.org>", "Küche <a@b.org>"),
        ("", ""),
        # What is no address, as Python's parser leaves it.
        ("<<@", "<>"),
    ],
)
def test_the_sender_is_shown_as_people_see_it(sender: str, shown: str) -> None:
    found = judged("Authentication-Results: mx.example; dmarc=fail", "Received: x", sender=sender)
    assert found["shown as"] == shown

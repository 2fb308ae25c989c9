"""What a module answers."""

from __future__ import annotations

from ansible_collections.homelab.mail.plugins.module_utils._change import answering


def test_bytes_that_are_no_text_are_said_as_a_question_mark() -> None:
    latin = b"caf\xe9 \xe2\x82\xac \xf0\x9f\x92\x80".decode(errors="surrogateescape")
    assert answering.readable({"diff": [latin], "changed": True}) == {
        "diff": ["caf? \u20ac \U0001f480"],
        "changed": True,
    }

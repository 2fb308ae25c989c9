"""Main.cf and the password table, shown without a secret."""

from __future__ import annotations

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._change import hiding
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
# Printable text without spaces at its ends, as every value is that the rules let through.
VALUES = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])).map(str.strip)
HEAD = "# Managed by Ansible.\n"


@pytest.mark.parametrize(
    ("before", "after", "shown_before", "shown_after"),
    [
        pytest.param(
            "",
            HEAD + "[h]:465 me:0ne:tw0\n",
            "",
            HEAD + "[h]:465 me:(the new password)\n",
            id="a first password",
        ),
        pytest.param(
            HEAD + "[h]:465 me:0ne\n",
            HEAD + "[h]:465 me:tw0\n",
            HEAD + "[h]:465 me:(the old password)\n",
            HEAD + "[h]:465 me:(the new password)\n",
            id="a rotation",
        ),
        pytest.param(
            "[h]:465 me:0ne\n[i]:465 me:s@me\n",
            "[h]:465 me:tw0\n[i]:465 me:s@me\n",
            "[h]:465 me:(the old password)\n[i]:465 me:(a password)\n",
            "[h]:465 me:(the new password)\n[i]:465 me:(a password)\n",
            id="one of two accounts",
        ),
        pytest.param(
            "h me:0ne\n[h]:465 my name:0ne\n  0ne\n",
            "",
            "(a line that is not shown)\n" * 3,
            "",
            id="lines of another shape",
        ),
    ],
)
def test_a_difference_shows_who_logs_in_where_and_no_password(
    before: str, after: str, shown_before: str, shown_after: str
) -> None:
    assert hiding.hide_passwords(before, after) == (shown_before, shown_after)


@pytest.mark.parametrize("comment", ["#[h]:465 me:0ld-s3cret", "# was: 0ld-s3cret"])
def test_a_password_that_was_commented_out_is_hidden(comment: str) -> None:
    shown = hiding.hide_passwords(f"{comment}\n[h]:465 me:x\n", "[h]:465 me:y\n")
    assert "0ld-s3cret" not in "".join(shown)


def test_a_token_that_is_login_and_password_is_hidden_in_both_places() -> None:
    """Postmark: the server API token is the name as well."""
    shown = hiding.hide_passwords("", "[smtp.postmarkapp.com]:587 t0ken:t0ken\n")
    assert "t0ken" not in "".join(shown)


@given(
    st.lists(st.tuples(NAMES, NAMES, VALUES.filter(bool)), max_size=4),
    st.lists(st.tuples(NAMES, NAMES, VALUES.filter(bool)), max_size=4),
)
def test_no_password_is_ever_part_of_a_difference(
    old: list[tuple[str, str, str]], new: list[tuple[str, str, str]]
) -> None:
    def table(accounts: list[tuple[str, str, str]]) -> str:
        return "".join(f"[{host}]:587 {user}:\u2603{word}\n" for host, user, word in accounts)

    before, after = table(old), table(new)
    shown = hiding.hide_passwords(before, after)
    assert "\u2603" not in "".join(shown)
    assert [text.count("\n") for text in shown] == [before.count("\n"), after.count("\n")]
    assert (before == after) <= (shown[0] == shown[1])


@pytest.mark.parametrize(
    "text",
    [
        "smtp_sasl_password_maps =\n  static:me:0ne",
        "smtp_sasl_password_maps =\n# it is\n\n\tstatic:me:0ne",
        "smtp_sasl_password_maps = hash:/a\nsmtp_sasl_password_maps = static:me:0ne",
        "smtp_sasl_password_maps = static:me:0ne\nsmtp_sasl_password_maps = hash:/a",
        "smtp_sasl_password_maps = hash:/a, inline:{\n {[h]=me:0ne} }",
        "smtp_sasl_password_maps = static:$mine\nmine = ${yours}\nyours = me:0ne",
        "smtp_sasl_password_maps = regexp:{{/x/ me:0ne}}",
        "lmtp_sasl_password_maps = static:me:0ne",
        "virtual_alias_maps = ldap:my\nmy_bind_pw = 0ne",
        "# smtp_sasl_password_maps = static:me:0ne",
        "#password: 0ne",
    ],
)
def test_no_login_of_a_main_cf_is_shown(text: str) -> None:
    shown = hiding.hide_logins(f"a = b\n{text}\nc = d\n")
    assert "0ne" not in shown
    assert shown.startswith("a = b\n") and shown.endswith("\nc = d\n")


@pytest.mark.parametrize(
    "text", ["smtp_sasl_password_maps = proxy:hash:/a, $default_database_type:/b", "# see sasl_passwd\n\na = b\n  c"]
)
def test_what_is_no_login_is_shown(text: str) -> None:
    assert hiding.hide_logins(text) == text


@pytest.mark.parametrize("login", ["static:me:0ne", "inline:{ {[h]:465 = me:0ne} }", "inline:{\n  [h]=me:0ne\n  }"])
def test_a_login_in_main_cf_itself_is_not_shown(login: str) -> None:
    shown = hiding.hide_logins(f"a = b\nsmtp_sasl_password_maps = {login}\nc = d\n")
    assert "0ne" not in shown
    assert shown.startswith("a = b\n") and shown.endswith("\nc = d\n")


def test_a_complaint_that_quotes_a_login_does_not_show_it() -> None:
    assert hiding.hide_logins("unused parameter: my_token=s3cret") == (
        "unused parameter: my_token = (a login that is not shown)"
    )

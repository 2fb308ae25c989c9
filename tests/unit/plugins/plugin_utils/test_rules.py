"""What the variables may say: every fault that is found before a host is touched.

A case is the variables over those of a good Fastmail host; `from_` stands for smarthost_from.
"""

from __future__ import annotations

import string
from typing import Any, Callable

import pytest
from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.plugin_utils import rules
from ansible_collections.homelab.mail.plugins.plugin_utils.verdict import PREFIX
from hypothesis import given, settings
from hypothesis import strategies as st

from workshop.pages import provider_files

Judge = Callable[..., rules.Verdict]
Render = Callable[..., dict[str, str]]

APP_PASSWORD = "k3j5h6g7f8d9s0a1"
LETTERS = "qwhrtzuiopasdfgh"
LOGIN = {"username": "bob@bobs.org", "password": APP_PASSWORD}


def _given(variables: dict[str, Any]) -> dict[str, Any]:
    """An example's variables as `judge` takes them here."""
    names = {name: name.removeprefix(PREFIX) for name in variables}
    return {"from_" if names[name] == "from" else names[name]: value for name, value in variables.items()}


# One good host for each preset: what is given, and what is made of it.
GOOD: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    name: (_given(file["example"]["given"]), file["example"]["makes"])
    for name, file in provider_files.files().items()
    if "example" in file
}


def only_fault(verdict: rules.Verdict) -> str:
    """The one fault of a verdict: each thing that is wrong is said once."""
    assert len(verdict.faults) == 1, verdict.faults
    return verdict.faults[0]


def good(provider: str, **changed: Any) -> dict[str, Any]:
    """The variables of a good host at a provider, some of them changed."""
    return {"provider": provider, **GOOD[provider][0], **changed}


# --- Good hosts -----------------------------------------------------------------------------------


def test_there_is_a_good_host_for_every_preset_that_takes_a_password(
    providers: dict[str, dict[str, Any]],
) -> None:
    assert set(providers) - set(GOOD) == {name for name in providers if "password_refused" in providers[name]}
    assert "outlook" not in GOOD


@pytest.mark.parametrize("provider", GOOD)
def test_a_usual_host_is_accepted(judge: Judge, providers: dict[str, dict[str, Any]], provider: str) -> None:
    verdict = judge(**good(provider))
    assert verdict.faults == []
    account = {**verdict.plan["accounts"][0], **verdict.secrets["logins"][0]}
    expected = GOOD[provider][1]
    assert {name: account[name] for name in expected} == expected
    # The role warns of what everyone who uses the preset has to know, or of nothing.
    assert verdict.warnings == providers[provider].get("warnings", [])


def test_roots_mail_goes_to_the_from_where_nothing_is_said(judge: Judge) -> None:
    assert judge(from_="nas@bobs.org").plan["aliases"] == {"root": ["nas@bobs.org"]}
    assert judge().plan["aliases"] == {"root": ["bob@fastmail.com"]}


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({"aliases": {}, "generic": None, "parameters": None}, id="null and empty"),
        pytest.param({"aliases": {"root": "a@bobs.org, b@bobs.org"}}, id="targets in one text"),
        pytest.param({"aliases": {"root": ["a@bobs.org", "b@bobs.org"]}}, id="a list of targets"),
        pytest.param({"aliases": {"www-data": "root"}}, id="an alias to an alias"),
        pytest.param({"aliases": {"bob": "Root", "ROOT": "x@bobs.org"}}, id="case does not matter"),
        pytest.param({"generic": {"nut": "nut@bobs.org"}}, id="rewriting a user"),
        pytest.param({"generic": {"nut@nas.lan": "nut@bobs.org"}}, id="rewriting an address"),
        pytest.param({"generic": {"@nas.lan": "all@bobs.org"}}, id="rewriting a domain"),
        pytest.param({"hostname": "nas.lan"}, id="a host name inside the network"),
        pytest.param({"hostname": "NAS.Bobs.ORG"}, id="a host name in capitals"),
        pytest.param({"ca_file": "/usr/local/etc/ssl/cert.pem"}, id="a CA bundle of one's own"),
        pytest.param({"from_": "me@bobs.org"}, id="an address that begins like a placeholder"),
        pytest.param({"username": "BOB@Fastmail.COM"}, id="a login in capitals"),
        pytest.param({"parameters": {"mynetworks": '127.0.0.0/8 $x {y} "z" # %'}}, id="signs"),
        pytest.param(good("custom", password="ä ö:#$%{}[]'\"\\,;`~"), id="a password of signs"),
        pytest.param(good("custom", password="x" * 500 + "y"), id="a long password"),
        pytest.param(good("custom", username="nas", from_="nas@bobs.org"), id="a login of a word"),
        pytest.param(good("custom", port=25, tls="starttls"), id="port 25 of one's own relay"),
        pytest.param(good("custom", host="10.0.0.5"), id="a relay without a name"),
        pytest.param(good("gmail", username="nas@bobs.org"), id="a Workspace login at Gmail"),
        pytest.param(good("sendgrid", username="apikey"), id="the fixed login, written out"),
        pytest.param(good("ses", region="us-gov-west-1"), id="a region of SES with four parts"),
        pytest.param(good("sendgrid", from_="bob@gmail.com"), id="a confirmed single sender"),
        pytest.param(
            good("sendgrid", from_="bob@gmail.com", aliases={}), id="a single sender with a mailbox elsewhere"
        ),
        pytest.param(good("mailgun", aliases={"ROOT": "nas@mg.bobs.org"}), id="the From, as one's own choice"),
        pytest.param(good("gmx", from_="Bob@GMX.de"), id="the login as From in other letters"),
    ],
)
def test_what_people_may_well_write_is_accepted(judge: Judge, variables: dict[str, Any]) -> None:
    assert judge(**variables).faults == []


ONLY_SEND = ["mailgun", "brevo", "ses", "sendgrid", "postmark", "mailjet", "smtp2go", "resend"]


@pytest.mark.parametrize("aliases", [None, {}, {"ups": "bob@bobs.org"}, {"ups": "root"}])
@pytest.mark.parametrize("provider", ONLY_SEND)
def test_where_a_provider_only_sends_root_must_have_an_address(
    judge: Judge, provider: str, aliases: dict[str, str] | None
) -> None:
    fault = only_fault(judge(**good(provider, aliases=aliases)))
    assert fault.startswith("smarthost_aliases: does not say who gets root's mail. It would go to nas@")
    assert "only sends: it keeps no mailbox for that address" in fault
    assert "smarthost_aliases: {root: you@…}" in fault


@pytest.mark.parametrize("host", ["smtp.eu.mailgun.org", "email-smtp.eu-west-3.amazonaws.com", "smtp.sendgrid.net"])
def test_a_provider_that_only_sends_is_known_by_its_host(judge: Judge, host: str) -> None:
    variables = good("custom", host=host, port=587, tls="starttls")
    assert "only sends" in only_fault(judge(**variables))
    assert judge(**variables, aliases={"root": "bob@bobs.org"}).faults == []


def test_root_needs_no_alias_where_there_are_mailboxes(judge: Judge) -> None:
    for provider in sorted(set(GOOD) - set(ONLY_SEND)):
        assert judge(**good(provider)).faults == []


@pytest.mark.parametrize("name", ["smtpd_relay_restrictions", "smtpd_recipient_restrictions"])
@pytest.mark.parametrize("value", ["permit", "permit_mynetworks, permit"])
def test_restrictions_that_let_everybody_in_are_an_open_relay(judge: Judge, name: str, value: str) -> None:
    assert "an open relay" in only_fault(judge(parameters={"inet_interfaces": "all", name: value}))
    assert judge(parameters={name: value}).faults == []
    ends = "permit_mynetworks, reject_unauth_destination, permit"
    assert judge(parameters={"inet_interfaces": "all", name: ends}).faults == []


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("default_transport", "Use smarthost_host and smarthost_port."),
        ("defer_transports", "Take it out."),
        ("syslog_name", "Take it out."),
        ("smtp_use_tls", "Use smarthost_tls_security_level."),
        ("smtp_tls_policy_maps", "Use smarthost_tls_security_level."),
    ],
)
def test_a_parameter_that_undoes_a_promise_is_refused(judge: Judge, name: str, remedy: str) -> None:
    fault = only_fault(judge(parameters={name: "smtp"}))
    assert name in fault and fault.endswith(remedy)


def test_parameters_that_keep_roots_mail_on_the_host_are_refused(judge: Judge) -> None:
    off = {"receive_override_options": "no_unknown_recipient_checks, no_address_mappings"}
    assert "switches the aliases off" in only_fault(judge(parameters=off))
    assert judge(parameters={**off, "content_filter": "scan:[127.0.0.1]:10024"}).faults == []
    for name in ("virtual_alias_domains", "virtual_mailbox_domains"):
        kept = judge(parameters={name: "other.test, Fastmail.com"}, aliases={"root": "casey@fastmail.com"})
        assert f"{name} keeps mail to fastmail.com on this host" in only_fault(kept)
        assert judge(parameters={name: "other.test"}).faults == []


@pytest.mark.parametrize(
    "name", ["transport_maps", "sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps",
             "smtp_fallback_relay", "content_filter"]
)  # fmt: skip
def test_a_parameter_that_leads_mail_another_way_is_a_warning(judge: Judge, name: str) -> None:
    verdict = judge(parameters={name: "hash:/etc/postfix/mine"})
    assert verdict.faults == []
    assert any(name in warning and "another way" in warning for warning in verdict.warnings)
    assert judge(parameters={name: ""}).warnings == []


@pytest.mark.parametrize("networks", ["0.0.0.0/0", "127.0.0.0/8, [::]/0", "::/0", "0.0.0.0/1 128.0.0.0/1",
                                      "192.168.1.0/24 203.0.113.0/24", "[2001:db8::]/48", "[::ffff:0.0.0.0]/96",
                                      "10.0.0.0/7"])  # fmt: skip
@pytest.mark.parametrize("interfaces", ["all", "$myhostname, localhost", "127.0.0.1, 192.168.1.5"])
def test_an_open_relay_is_refused_with_the_reason(judge: Judge, networks: str, interfaces: str) -> None:
    fault = only_fault(judge(parameters={"inet_interfaces": interfaces, "mynetworks": networks}))
    assert fault.startswith(f"smarthost_parameters: inet_interfaces is {interfaces} and mynetworks has ")
    assert "an open relay, through which strangers on the internet send as your account" in fault
    assert "192.168.1.0/24, 2" not in fault


@pytest.mark.parametrize(
    "parameters",
    [
        {"mynetworks": "0.0.0.0/0"},
        {"inet_interfaces": "loopback-only", "mynetworks": "0.0.0.0/0"},
        {"inet_interfaces": "127.0.0.1, [::1]", "mynetworks": "0.0.0.0/0"},
        {"inet_interfaces": "all"},
        {
            "inet_interfaces": "all",
            "mynetworks": "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128 [fe80::]/64 10.88.0.0/16",
        },
        {"inet_interfaces": "all", "mynetworks": "!10.0.0.1 172.16.0.0/12 fd00:d0c::/64 hash:/etc/postfix/networks $x"},
        {"inet_interfaces": "all", "mynetworks": "127.0.0.0/8 203.0.113.7"},
    ],
)
def test_networks_at_home_and_single_hosts_are_no_open_relay(judge: Judge, parameters: dict[str, str]) -> None:
    assert judge(parameters=parameters).faults == []


def test_an_internal_relay_may_have_internal_addresses(judge: Judge) -> None:
    """Only the owner of a custom relay knows which domains it delivers to."""
    variables = good("custom", host="mail.home.arpa", username="nas", from_="nas@home.arpa")
    assert judge(**variables).faults == []


# --- The provider ---------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", [None, ""])
def test_without_a_provider_the_presets_are_listed(
    judge: Judge, providers: dict[str, dict[str, Any]], provider: str | None
) -> None:
    fault = only_fault(judge(**{**LOGIN, "provider": provider}))
    assert fault.startswith("smarthost_provider: ")
    assert {"custom", "fastmail", "icloud", "gmail"} <= set(providers)
    assert f"Name your mail provider: {', '.join(sorted(providers))}." in fault


@pytest.mark.parametrize(
    ("provider", "meant"),
    [
        ("Fastmail", "fastmail"),
        ("fastmial", "fastmail"),
        ("web.de", "web_de"),
        ("mailbox.org", "mailbox_org"),
        ("icloud.com", "icloud"),
        ("amazon_ses", ""),
        ("hetzner", ""),
    ],
)
def test_a_misspelt_provider_is_named_with_the_one_that_was_meant(judge: Judge, provider: str, meant: str) -> None:
    fault = only_fault(judge(**{**LOGIN, "provider": provider}))
    assert fault.startswith(f"smarthost_provider: there is no preset {provider!r}.")
    assert (f"Did you mean {meant}?" in fault) if meant else ("Did you mean" not in fault)
    assert "any other provider is custom" in fault


@pytest.mark.parametrize("password", ["correct-horse", "", None])
def test_outlook_is_refused_and_another_provider_advised(judge: Judge, password: str | None) -> None:
    verdict = judge(provider="outlook", username="bob@outlook.com", password=password)
    fault = only_fault(verdict)
    assert "Use another provider" in fault
    assert "Make an OAuth2 token" not in fault


def test_without_a_provider_the_login_is_judged_all_the_same(judge: Judge) -> None:
    named = [fault.partition(":")[0] for fault in judge(provider=None, username="", password="").faults]
    assert named == ["smarthost_provider", "smarthost_username", "smarthost_password"]


# --- The login ------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["fastmail", "icloud", "gmail", "yahoo", "posteo", "gmx"])
def test_username_without_domain_is_refused_with_the_remedy(judge: Judge, provider: str) -> None:
    fault = only_fault(judge(**good(provider, username="bob", from_=None)))
    assert fault.startswith("smarthost_username: 'bob' is not a full address")
    assert "Write the whole address, name and domain" in fault


@pytest.mark.parametrize("provider", ["fastmail", "icloud"])
@pytest.mark.parametrize("username", ["bob@fastmail", "root@nas.lan", "bob@localhost"])
@pytest.mark.parametrize("aliases", [{}, {"root": "bob@bobs.org"}], ids=["", "root has an alias"])
def test_username_in_a_domain_that_cannot_be_is_refused(
    judge: Judge, provider: str, username: str, aliases: dict[str, str]
) -> None:
    verdict = judge(**good(provider, username=username, from_=None, aliases=aliases))
    assert only_fault(verdict).startswith("smarthost_username: ")


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        pytest.param({"username": None}, "Write the login at Fastmail", id="none"),
        pytest.param({"username": ""}, "Write the login at Fastmail", id="empty"),
        pytest.param({"username": "bob bob@fastmail.com"}, "is not an address", id="a space"),
        pytest.param({"username": "<bob@fastmail.com>"}, "is not an address", id="in brackets"),
        pytest.param({"username": " bob@fastmail.com"}, "a space", id="a space before"),
        pytest.param({"username": "bob@fastmail.com "}, "a space", id="a space after"),
        pytest.param(
            {"username": "bob@fastmail.com:s3cret"},
            "the password goes into smarthost_password",
            id="with the password",
        ),
        pytest.param({"username": "bob@gmail.com"}, "choose Gmail as smarthost_provider", id="of Gmail"),
        pytest.param(good("google_relay", username="bob@gmail.com"), "is an account at Gmail", id="no relay"),
        pytest.param(good("sendgrid", username="bob@bobs.org"), "'apikey'", id="SendGrid"),
        pytest.param(good("resend", username="bob@bobs.org"), "'resend'", id="Resend"),
        pytest.param(good("web_de", username="bob@web.de"), "Write bob.", id="WEB.DE"),
        pytest.param(good("ses", username=None), "SMTP user name that SES made", id="SES"),
        pytest.param(good("custom", username="a:b", from_="nas@bobs.org"), "has a colon", id="a colon"),
    ],
)
def test_a_login_that_cannot_work_is_refused_with_the_remedy(
    judge: Judge, variables: dict[str, Any], sentence: str
) -> None:
    fault = only_fault(judge(**variables))
    assert fault.startswith("smarthost_username: ")
    assert sentence in fault
    assert "s3cret" not in fault


@pytest.mark.parametrize("sign", "#/=")
def test_another_sign_than_the_at_is_the_same_login_at_fastmail(judge: Judge, render: Render, sign: str) -> None:
    verdict = judge(username=f"bob{sign}bobs.org")
    assert (verdict.faults, verdict.warnings) == ([], [])
    account = verdict.plan["accounts"][0]
    assert (account["username"], account["from"]) == (f"bob{sign}bobs.org", "bob@bobs.org")
    assert verdict.plan["aliases"] == {"root": ["bob@bobs.org"]}
    table = configuration.parse_table(render(verdict)["sasl_passwd"])
    assert list(table.values()) == [f"bob{sign}bobs.org:{APP_PASSWORD}"]


def test_signs_before_the_last_belong_to_the_name(judge: Judge) -> None:
    assert judge(username="bob=home#bobs.org").plan["accounts"][0]["from"] == "bob=home@bobs.org"


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"username": "you#fastmail.com"}, "is the placeholder of a guide"),
        ({"username": "bob#example.com"}, "is the placeholder of a guide"),
        ({"username": "bob/gmail.com"}, "is an account at Gmail, not at Fastmail"),
        ({"username": "bob=nas.lan"}, "exists only inside your network"),
        ({"username": "bob#"}, "is not a full address"),
        ({"username": "#bobs.org"}, "is not a full address"),
        ({"username": "bob%bobs.org"}, "is not a full address"),
        (good("icloud", username="bob#icloud.com"), "is not a full address"),
    ],
)
def test_another_sign_than_the_at_hides_nothing(judge: Judge, variables: dict[str, Any], sentence: str) -> None:
    fault = only_fault(judge(**variables))
    assert fault.startswith("smarthost_username: ") and sentence in fault


@pytest.mark.parametrize(
    ("variables", "kept"),
    [
        (good("fastmail", password="k3j5 h6g7 f8d9 s0a1"), APP_PASSWORD),
        (good("fastmail", password=" k3j5h6g7f8d9s0a1 "), APP_PASSWORD),
        (good("gmail", password="qwhr tzui opas dfgh"), LETTERS),
        (good("gmail", password="qwhr\u00a0tzui\u00a0opas\u00a0dfgh"), LETTERS),
        (good("google_relay", password="qwhr tzui opas dfgh"), LETTERS),
        (good("yahoo", password="qwhr tzui opas dfgh"), LETTERS),
        (good("aol", password="qwhr tzui opas dfgh"), LETTERS),
    ],
)
def test_spaces_of_an_app_password_are_taken_out(judge: Judge, variables: dict[str, Any], kept: str) -> None:
    verdict = judge(**variables)
    assert (verdict.faults, verdict.warnings) == ([], [])
    assert verdict.secrets["logins"][0]["password"] == kept


def test_icloud_password_keeps_its_hyphens(judge: Judge) -> None:
    account = judge(**good("icloud", password="qwhr-tzui-opas-dfgh")).secrets["logins"][0]
    assert account["password"] == "qwhr-tzui-opas-dfgh"


@pytest.mark.parametrize("provider", ["custom", "microsoft365", "migadu"])
def test_spaces_of_a_password_that_people_chose_are_kept(judge: Judge, provider: str) -> None:
    account = judge(**good(provider, password="correct horse")).secrets["logins"][0]
    assert account["password"] == "correct horse"


@pytest.mark.parametrize("password", [None, "", " ", "   "])
@pytest.mark.parametrize("provider", ["fastmail", "icloud", "custom"])
def test_an_empty_password_is_refused_with_the_way_to_make_one(
    judge: Judge, provider: str, password: str | None
) -> None:
    fault = only_fault(judge(**good(provider, password=password)))
    assert fault.startswith("smarthost_password: is empty.")
    assert fault.endswith("keep it in the vault, as smarthost_password.")


def test_the_way_to_an_app_password_is_told_with_its_menus_and_page(judge: Judge) -> None:
    fault = only_fault(judge(password=""))
    assert "Settings → Privacy & Security" in fault
    assert "https://fastmail.help/" in fault


@pytest.mark.parametrize("password", [1234567890123456, True, 1.5, ["a"], {"a": 1}])
def test_a_password_that_yaml_did_not_read_as_text_is_refused(judge: Judge, password: object) -> None:
    fault = only_fault(judge(password=password))
    assert fault == ("smarthost_password: is not text: YAML made something else of it. Put it in quotes.")


@pytest.mark.parametrize("password", [" T8cW!k2p#9", "T8cW!k2p#9 ", "\u00a0T8cW!k2p#9"])
def test_a_password_that_postfix_would_cut_is_refused(judge: Judge, password: str) -> None:
    fault = only_fault(judge(**good("custom", password=password)))
    assert fault.startswith("smarthost_password: begins or ends with a space")


@pytest.mark.parametrize(
    ("provider", "password"),
    [
        ("fastmail", "correct-horse-battery"),
        ("icloud", "qwhrtzuiopasdfgh"),
        ("icloud", "qwhr tzui opas dfgh"),
        ("gmail", "my-old-Password1"),
        ("sendgrid", "correct-horse"),
        ("resend", "correct-horse"),
    ],
)
def test_a_password_of_the_wrong_kind_goes_with_a_warning(judge: Judge, provider: str, password: str) -> None:
    verdict = judge(**good(provider, password=password))
    assert verdict.faults == []
    assert len(verdict.warnings) == 1
    assert verdict.warnings[0].startswith("smarthost_password does not look like an ")
    assert password not in verdict.warnings[0]


# --- Placeholders ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "password-here",
        "your-password",
        "YOUR_APP_PASSWORD",
        "YOUR-APP-PASSWORD",
        "your app password",
        "app-specific-password",
        "the-app-password",
        "my_secret",
        "your_api_key",
        "YOUR_API_TOKEN",
        "changeme",
        "change-me",
        "CHANGE_THIS",
        "TODO",
        "<your app password>",
        "{{ vault_smarthost_password }}",
        "xxxx-xxxx-xxxx-xxxx",
        "xxxx xxxx xxxx xxxx",
        "xxxxxxxxxxxxxxxx",
        "abcd-efgh-ijkl-mnop",
        "abcd efgh ijkl mnop",
        "********",
    ],
)
@pytest.mark.parametrize("provider", ["fastmail", "icloud", "custom"])
def test_a_password_of_a_guide_is_refused(judge: Judge, provider: str, password: str) -> None:
    fault = only_fault(judge(**good(provider, password=password)))
    assert fault.startswith("smarthost_password: is the placeholder of a guide")


@pytest.mark.parametrize(
    ("provider", "password"),
    [
        # As the providers' own pages write it.
        ("resend", "re_xxxxxxxxx"),
        ("sendgrid", "SG.xxxxxxxx.yyyyyyyy"),
        ("sendgrid", "<API key>"),
        # As guides write it.
        ("fastmail", "YOUR_FASTMAIL_APP_PASSWORD"),
        ("fastmail", "your-16-character-app-password"),
        ("custom", "enter_your_password"),
        ("custom", "put-your-password-here"),
        ("custom", "insert your app password here"),
    ],
)
def test_a_password_of_this_providers_guides_is_refused(judge: Judge, provider: str, password: str) -> None:
    fault = only_fault(judge(**good(provider, password=password)))
    assert fault.startswith("smarthost_password: is the placeholder of a guide")


@pytest.mark.parametrize(
    ("variables", "variable"),
    [
        ({"username": "you@fastmail.com"}, "username"),
        ({"username": "YOU@FASTMAIL.COM"}, "username"),
        ({"username": "username@fastmail.com"}, "username"),
        ({"username": "you@example.com", "from_": "nas@bobs.org"}, "username"),
        ({"username": "bob@mail.example.org", "from_": "nas@bobs.org"}, "username"),
        ({"username": "you@yourdomain.com"}, "username"),
        (good("custom", username="user@example.net", from_="nas@bobs.org"), "username"),
        ({"from_": "you@fastmail.com"}, "from"),
        ({"from_": "nas@example.com", "aliases": {"root": "bob@bobs.org"}}, "from"),
        ({"from_": "you@yourdomain.com"}, "from"),
        ({"aliases": {"root": "you@example.com"}}, "aliases"),
        ({"aliases": {"root": ["bob@bobs.org", "bob@example.org"]}}, "aliases"),
    ],
)
def test_an_address_of_a_guide_is_refused(judge: Judge, variables: dict[str, Any], variable: str) -> None:
    fault = only_fault(judge(**variables))
    assert fault.startswith(f"smarthost_{variable}: ")
    assert "placeholder of a guide" in fault


@pytest.mark.parametrize(
    "local",
    ["your-email", "your.email", "your_email", "youremail", "your-address", "your_username"],
)
def test_a_local_part_of_a_guide_is_refused_as_login(judge: Judge, local: str) -> None:
    fault = only_fault(judge(username=f"{local}@fastmail.com"))
    assert fault.startswith("smarthost_username: ") and "placeholder" in fault


@pytest.mark.parametrize(
    "username",
    ["username", "your-username", "YOUR_SMTP_USERNAME", "your-api-key", "<username>", "changeme"],
)
@pytest.mark.parametrize("provider", ["ses", "mailjet", "smtp2go"])
def test_a_login_without_at_that_is_of_a_guide_is_refused(judge: Judge, provider: str, username: str) -> None:
    fault = only_fault(judge(**good(provider, username=username)))
    assert fault.startswith("smarthost_username: ") and "placeholder" in fault


@pytest.mark.parametrize("target", ["you@fastmail.com", "you@yourdomain.com"])
def test_an_alias_to_an_address_of_a_guide_is_refused(judge: Judge, target: str) -> None:
    fault = only_fault(judge(aliases={"root": target}))
    assert fault.startswith("smarthost_aliases: ") and "placeholder" in fault


def test_rewriting_to_an_address_of_a_guide_is_refused(judge: Judge) -> None:
    fault = only_fault(judge(generic={"nut": "nut@example.com"}))
    assert fault.startswith("smarthost_generic: ") and "placeholder" in fault


# --- Host, port and TLS ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "port", "tls"),
    [
        ({}, 465, "implicit"),
        ({"port": 587}, 587, "starttls"),
        ({"tls": "starttls"}, 587, "starttls"),
        ({"tls": "implicit"}, 465, "implicit"),
        ({"port": 465, "tls": "implicit"}, 465, "implicit"),
        ({"host": "SMTP.Fastmail.COM"}, 465, "implicit"),
        ({"host": "smtps-proxy.fastmail.com"}, 465, "implicit"),
        ({"host": "smtps-proxy.fastmail.com", "port": 443}, 443, "implicit"),
        ({"host": "smtps-proxy.fastmail.com", "port": 80, "tls": "implicit"}, 80, "implicit"),
        ({"host": "smtps-proxy.fastmail.com", "port": 25}, 25, "implicit"),
        ({"host": "smtps-proxy.fastmail.com", "port": 587}, 587, "implicit"),
        ({"host": "smtps-proxy.fastmail.com", "port": 65535}, 65535, "implicit"),
        # A host that the preset does not know: its ports are defaults, no rules.
        ({"host": "relay.bobs.org"}, 465, "implicit"),
        ({"host": "relay.bobs.org", "port": 2525, "tls": "starttls"}, 2525, "starttls"),
        ({"host": "relay.bobs.org", "port": 465, "tls": "starttls"}, 465, "starttls"),
        (good("postmark", host="smtp-broadcasts.postmarkapp.com", port=None), 587, "starttls"),
        (good("brevo", host="smtp-relay.sendinblue.com", tls="implicit"), 465, "implicit"),
        (good("smtp2go", port=443), 443, "implicit"),
        (good("smtp2go", port=80), 80, "starttls"),
        (good("resend", port=2465), 2465, "implicit"),
        # Never guessed from the port alone.
        (good("custom", port=587, tls="implicit"), 587, "implicit"),
        (good("custom", port=465, tls="starttls"), 465, "starttls"),
    ],
)
def test_port_and_tls_come_from_each_other_and_the_preset(
    judge: Judge, variables: dict[str, Any], port: int, tls: str
) -> None:
    verdict = judge(**variables)
    assert verdict.faults == []
    account = verdict.plan["accounts"][0]
    assert (account["port"], account["tls"]) == (port, tls)


@pytest.mark.parametrize("provider", ["icloud", "microsoft365", "postmark", "proton"])
def test_port_465_is_refused_where_the_provider_has_none(judge: Judge, provider: str) -> None:
    fault = only_fault(judge(**good(provider, port=465)))
    assert fault.startswith("smarthost_port: ")
    assert "has no port 465. It offers 587 (starttls)" in fault


@pytest.mark.parametrize("provider", ["icloud", "microsoft365", "postmark", "proton"])
def test_implicit_tls_is_refused_where_the_provider_has_none(judge: Judge, provider: str) -> None:
    fault = only_fault(judge(**good(provider, port=None, tls="implicit")))
    assert fault.startswith("smarthost_tls: ")
    assert "It offers 587 (starttls)" in fault


@pytest.mark.parametrize("provider", ["fastmail", "gmail", "ses", "sendgrid", "mailgun"])
def test_port_25_is_refused_where_it_is_meant_for_mail_servers(judge: Judge, provider: str) -> None:
    fault = only_fault(judge(**good(provider, port=25)))
    assert fault.startswith("smarthost_port: ") and "has no port 25" in fault


@pytest.mark.parametrize(
    "variables",
    [
        {"port": 465, "tls": "starttls"},
        {"port": 587, "tls": "implicit"},
        {"host": "smtps-proxy.fastmail.com", "port": 443, "tls": "starttls"},
        {"host": "smtps-proxy.fastmail.com", "port": 587, "tls": "starttls"},
        {"host": "smtps-proxy.fastmail.com", "tls": "starttls"},
        good("icloud", port=587, tls="implicit"),
        good("ses", port=2465, tls="starttls"),
        good("ses", host="email-smtp.eu-west-1.amazonaws.com", port=465, tls="starttls"),
        good("smtp2go", port=443, tls="starttls"),
        good("zoho", port=465, tls="starttls"),
    ],
)
def test_tls_that_contradicts_the_port_is_refused(judge: Judge, variables: dict[str, Any]) -> None:
    assert only_fault(judge(**variables)).startswith("smarthost_tls: ")


@pytest.mark.parametrize("port", [0, -1, 65536, 99999])
@pytest.mark.parametrize("provider", ["fastmail", "custom"])
def test_a_port_that_cannot_be_is_refused(judge: Judge, provider: str, port: int) -> None:
    fault = only_fault(judge(**good(provider, port=port)))
    assert fault == f"smarthost_port: {port} is not a TCP port. Ports go from 1 to 65535."


@pytest.mark.parametrize(
    "host",
    [
        "[smtp.fastmail.com]",
        "smtp.fastmail.com:465",
        "[smtp.fastmail.com]:465",
        "smtps://smtp.fastmail.com",
        "smtp.fastmail.com smtp.bobs.org",
        "smtp.fastmail.com,",
        "bob@smtp.fastmail.com",
        "inet:smtp.fastmail.com",
        "$myhostname",
        "",
    ],
)
def test_a_host_that_is_more_than_a_name_is_refused(judge: Judge, host: str) -> None:
    fault = only_fault(judge(**good("custom", host=host)))
    assert fault.startswith("smarthost_host: ")


@pytest.mark.parametrize(
    ("missing", "remedy"),
    [
        ("host", "needs smarthost_host, smarthost_port and smarthost_tls"),
        ("port", "mostly 465 or 587"),
        ("tls", "Write implicit where TLS begins with the connection"),
    ],
)
def test_custom_needs_host_port_and_tls(judge: Judge, missing: str, remedy: str) -> None:
    fault = only_fault(judge(**good("custom", **{missing: None})))
    assert fault.startswith(f"smarthost_{missing}: ")
    assert remedy in fault


def test_custom_with_nothing_is_told_everything_it_needs(judge: Judge) -> None:
    named = [fault.partition(":")[0] for fault in judge(provider="custom").faults]
    assert named == [f"smarthost_{name}" for name in ("host", "port", "tls", "username", "password")]


@pytest.mark.parametrize("level", ["secure", "verify", None])
def test_a_checked_certificate_needs_no_warning(judge: Judge, level: str | None) -> None:
    assert judge(tls_security_level=level).warnings == []


def test_a_certificate_that_nobody_checks_goes_with_a_warning(judge: Judge) -> None:
    verdict = judge(tls_security_level="encrypt")
    assert verdict.faults == []
    assert "any server that answers to the relay's name gets the password" in verdict.warnings[0]


# --- Regions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "region", "host"),
    [
        ("mailgun", "us", "smtp.mailgun.org"),
        ("mailgun", "eu", "smtp.eu.mailgun.org"),
        ("ses", "us-east-1", "email-smtp.us-east-1.amazonaws.com"),
        ("ses", "ap-southeast-2", "email-smtp.ap-southeast-2.amazonaws.com"),
        ("zoho", "com", "smtp.zoho.com"),
        ("zoho", "au", "smtp.zoho.com.au"),
        ("zoho", "ca", "smtp.zohocloud.ca"),
        ("smtp2go", None, "mail.smtp2go.com"),
        ("smtp2go", "global", "mail.smtp2go.com"),
        ("smtp2go", "eu2", "mail-eu2.smtp2go.com"),
    ],
)
def test_a_region_leads_to_its_host(judge: Judge, provider: str, region: str | None, host: str) -> None:
    verdict = judge(**good(provider, region=region, host=None))
    assert verdict.faults == []
    assert verdict.plan["accounts"][0]["host"] == host


@pytest.mark.parametrize("provider", ["mailgun", "ses", "zoho"])
def test_a_missing_region_is_asked_for(judge: Judge, provider: str) -> None:
    fault = only_fault(judge(**good(provider, region=None, host=None)))
    assert fault.startswith("smarthost_region: ")
    assert "Name the region of your account" in fault


@pytest.mark.parametrize(
    ("provider", "host"),
    [
        ("mailgun", "smtp.eu.mailgun.org"),
        ("ses", "email-smtp.eu-west-1.amazonaws.com"),
        ("zoho", "smtppro.zoho.com"),
    ],
)
def test_a_host_stands_for_its_region(judge: Judge, provider: str, host: str) -> None:
    assert judge(**good(provider, region=None, host=host)).faults == []


@pytest.mark.parametrize(
    ("provider", "region"),
    [
        ("mailgun", "de"),
        ("mailgun", "smtp.eu.mailgun.org"),
        ("ses", "frankfurt"),
        ("ses", "eu-central-1a"),
        ("ses", "eu-central-1.amazonaws.com/x"),
        ("ses", "{region}"),
        ("ses", "eu-central-1@evil.org"),
        ("zoho", "us"),
        ("smtp2go", "asia"),
    ],
)
def test_a_region_that_the_provider_does_not_have_is_refused(judge: Judge, provider: str, region: str) -> None:
    fault = only_fault(judge(**good(provider, region=region, host=None)))
    assert fault.startswith("smarthost_region: ") and f"has no region {region!r}" in fault


@pytest.mark.parametrize("provider", ["fastmail", "icloud", "custom", "sendgrid"])
def test_a_region_is_refused_where_there_are_none(judge: Judge, provider: str) -> None:
    fault = only_fault(judge(**good(provider, region="eu")))
    assert fault.startswith("smarthost_region: ")
    assert fault.endswith("has no regions. Take smarthost_region out.")


# --- From -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["ses", "sendgrid", "resend", "postmark", "mailjet", "smtp2go", "brevo", "web_de"])
def test_from_is_asked_for_where_the_login_is_no_sender(judge: Judge, provider: str) -> None:
    fault = only_fault(judge(**good(provider, from_=None)))
    assert fault.startswith("smarthost_from: ")
    assert "Write the address that mail of this host is from." in fault


def test_from_is_asked_for_where_a_custom_login_is_no_address(judge: Judge) -> None:
    fault = only_fault(judge(**good("custom", username="nas")))
    assert fault.startswith("smarthost_from: ")


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        pytest.param({"from_": "nas"}, "is not an address", id="a word"),
        pytest.param({"from_": "NAS <nas@bobs.org>"}, "without a name or brackets", id="a name"),
        pytest.param({"from_": "a@bobs.org, b@bobs.org"}, "one address alone", id="two"),
        pytest.param({"from_": " nas@bobs.org"}, "is not an address", id="a space"),
        pytest.param({"from_": "root@nas.lan"}, "only inside your network", id="inside"),
        pytest.param({"from_": "root@nas"}, "only inside your network", id="no dot"),
        pytest.param(good("ses", from_="root@nas.local"), "only inside", id="SES"),
        pytest.param({"from_": "bob@gmail.com"}, "is an address at Gmail", id="of Gmail"),
        pytest.param(good("icloud", from_="bob@fastmail.com"), "at Fastmail", id="of Fastmail"),
        pytest.param(good("gmx", from_="nas@bobs.org"), "Write bob@gmx.de", id="not the login"),
    ],
)
def test_a_from_that_the_provider_would_refuse_is_refused(
    judge: Judge, variables: dict[str, Any], sentence: str
) -> None:
    # With an alias for root, so that the From is used for nothing else.
    fault = only_fault(judge(**{**variables, "aliases": {"root": "bob@bobs.org"}}))
    assert fault.startswith("smarthost_from: ")
    assert sentence in fault


@pytest.mark.parametrize("sender", ["nas", "root@nas.lan", "nas@example.com", "a <a@bobs.org>"])
def test_a_wrong_from_is_not_blamed_on_the_aliases_too(judge: Judge, sender: str) -> None:
    assert only_fault(judge(from_=sender)).startswith("smarthost_from: ")


def test_a_wrong_login_is_not_blamed_on_the_aliases_too(judge: Judge) -> None:
    assert only_fault(judge(username="you@example.com")).startswith("smarthost_username: ")


def test_gmail_replaces_a_foreign_from_and_the_person_is_told(judge: Judge) -> None:
    verdict = judge(**good("gmail", from_="nas@bobs.org"))
    assert verdict.faults == []
    assert "Send mail as" in verdict.warnings[0]


# --- Rewriting and aliases ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("generic", "sentence"),
    [
        ({"nut": "nut"}, "'nut', for 'nut', is not an address"),
        ({"nut": None}, "is not an address"),
        ({"nut": ["a@bobs.org"]}, "is not an address"),
        ({"nut": "a@bobs.org b@bobs.org"}, "is not an address"),
        ({"nut x": "a@bobs.org"}, "'nut x' is not an address of this host"),
        ({"#nut": "a@bobs.org"}, "is not an address of this host"),
        ({"": "a@bobs.org"}, "is not an address of this host"),
        ({"@": "a@bobs.org"}, "is not an address of this host"),
        ({"nut@": "a@bobs.org"}, "is not an address of this host"),
        ({"nut@nas lan": "a@bobs.org"}, "is not an address of this host"),
    ],
)
def test_rewriting_that_would_break_the_table_is_refused(judge: Judge, generic: dict[str, Any], sentence: str) -> None:
    fault = only_fault(judge(generic=generic))
    assert fault.startswith("smarthost_generic: ") and sentence in fault


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({"generic": {"nut": "nut@nas.lan"}}, id="inside the network"),
        pytest.param({"generic": {"nut": "nut@nas"}}, id="no dot"),
        pytest.param({"generic": {"nut": "bob@gmail.com"}}, id="of another provider"),
        pytest.param(good("gmx", generic={"nut": "nut@bobs.org"}), id="not the login"),
    ],
)
def test_rewriting_to_a_from_that_the_provider_would_refuse_is_refused(judge: Judge, variables: dict[str, Any]) -> None:
    assert only_fault(judge(**variables)).startswith("smarthost_generic: ")


@pytest.mark.parametrize(
    ("aliases", "sentence"),
    [
        pytest.param({"root": ""}, "leads nowhere", id="empty"),
        pytest.param({"root": []}, "leads nowhere", id="an empty list"),
        pytest.param({"root": " , "}, "leads nowhere", id="commas alone"),
        pytest.param({"root": None}, "leads nowhere", id="null"),
        pytest.param({"root": "bob"}, "neither an address nor another entry", id="a word"),
        pytest.param({"root": "a@bobs.org b@bobs.org"}, "neither an address", id="no comma"),
        pytest.param({"root": "|/bin/sh"}, "a command or file", id="a command"),
        pytest.param({"root": "/var/mail/root"}, "a command or file", id="a file"),
        pytest.param({"root": ":include:/etc/x"}, "a command or file", id="an include"),
        pytest.param({"root": "bob@nas.lan"}, "only inside your network", id="inside"),
        pytest.param({"root": "bob@nas"}, "only inside your network", id="no dot"),
        pytest.param({"bob@nas.lan": "a@bobs.org"}, "not the name of a local user", id="address"),
        pytest.param({"bob x": "a@bobs.org"}, "not the name of a local user", id="a space"),
        pytest.param({"@nas.lan": "a@bobs.org"}, "not the name of a local user", id="a domain"),
        pytest.param({"#bob": "a@bobs.org"}, "not the name of a local user", id="a comment"),
        pytest.param({"": "a@bobs.org"}, "not the name of a local user", id="no name"),
    ],
)
def test_an_alias_that_loses_mail_is_refused(judge: Judge, aliases: dict[str, Any], sentence: str) -> None:
    fault = only_fault(judge(aliases=aliases))
    assert fault.startswith("smarthost_aliases: ") and sentence in fault


@pytest.mark.parametrize(
    ("aliases", "members"),
    [
        ({"root": "root"}, {"root"}),
        ({"root": "Root"}, {"root"}),
        ({"root": "bob", "bob": "root"}, {"root", "bob"}),
        ({"a": "b", "b": "c", "c": "a"}, {"a", "b", "c"}),
        ({"a": ["x@bobs.org", "b"], "b": "a"}, {"a", "b"}),
        # One that only leads into a circle is not part of it.
        ({"a": "b", "b": "c", "c": "b"}, {"b", "c"}),
    ],
)
def test_aliases_that_go_in_a_circle_are_refused(judge: Judge, aliases: dict[str, Any], members: set[str]) -> None:
    faults = judge(aliases=aliases).faults
    assert {fault.split("'")[1] for fault in faults} == members
    assert all("leads back to itself" in fault for fault in faults)


def test_aliases_that_meet_again_are_no_circle(judge: Judge) -> None:
    aliases = {"root": ["a", "b"], "a": "c", "b": "c", "c": "bob@bobs.org"}
    assert judge(aliases=aliases).faults == []


@pytest.mark.parametrize("variable", ["aliases", "generic"])
def test_two_spellings_of_one_key_are_refused(judge: Judge, variable: str) -> None:
    """Postfix looks keys up in lower case; one of the two would be lost without a word."""
    verdict = judge(**{variable: {"Nut": "a@bobs.org", "nut": "b@bobs.org"}})
    assert only_fault(verdict).startswith(f"smarthost_{variable}: ")


# --- Parameters, host name, CA bundle -------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"),
        ("", ""),
        (" a ", "a"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (1.5, "1.5"),
        (None, ""),
    ],
)
def test_a_parameter_is_written_as_postfix_reads_it(judge: Judge, value: object, text: str) -> None:
    verdict = judge(parameters={"some_parameter": value})
    assert verdict.faults == []
    assert verdict.plan["parameters"] == {"some_parameter": text}


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a = b\n", "#a", "a-b", "a.b", "ä", "a\nb", "${a}", "smtp/unix/x"])
def test_a_parameter_name_that_is_none_is_refused(judge: Judge, name: str) -> None:
    assert only_fault(judge(parameters={name: "1"})).startswith("smarthost_parameters: ")


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("relayhost", "smarthost_host"),
        ("smtp_tls_security_level", "smarthost_tls_security_level"),
        ("smtp_tls_wrappermode", "smarthost_tls"),
        ("smtp_tls_CAfile", "smarthost_ca_file"),
        ("smtp_sasl_password_maps", "smarthost_password"),
        ("smtp_sasl_auth_enable", "smarthost_username"),
        ("canonical_maps", "smarthost_rewrite"),
        ("sender_canonical_maps", "smarthost_generic"),
        ("mydestination", "smarthost_hostname"),
        ("virtual_alias_maps", "smarthost_aliases"),
        ("alias_maps", "smarthost_aliases"),
        ("myhostname", "smarthost_hostname"),
    ],
)
def test_a_parameter_that_a_variable_is_for_names_the_variable(judge: Judge, name: str, variable: str) -> None:
    fault = only_fault(judge(parameters={name: "static:bob:s3cret"}))
    assert fault.startswith("smarthost_parameters: ") and variable in fault
    assert "s3cret" not in fault


@pytest.mark.parametrize("value", [["a", "b"], {"a": "b"}, ("a",)])
def test_a_parameter_that_is_a_list_is_refused(judge: Judge, value: object) -> None:
    fault = only_fault(judge(parameters={"mynetworks": value}))
    assert "Write the value as in main.cf, as one text." in fault


@pytest.mark.parametrize("hostname", ["nas", "nas_1.lan", "nas lan.lan", "-nas.lan", "nas.lan:25"])
def test_a_host_name_that_providers_hang_up_on_is_refused(judge: Judge, hostname: str) -> None:
    fault = only_fault(judge(hostname=hostname))
    assert fault.startswith("smarthost_hostname: ") and "Write name and domain" in fault


@pytest.mark.parametrize("hostname", ["192.168.1.5", "10.1"])
def test_an_ip_address_as_host_name_is_refused(judge: Judge, hostname: str) -> None:
    """Postfix does not start with one: "numeric hostname"."""
    assert only_fault(judge(hostname=hostname)).startswith("smarthost_hostname: ")


@pytest.mark.parametrize("ca_file", ["ca.pem", "~/ca.pem", "/etc/my ca.pem", "/etc/$x.pem", "/a,/b"])
def test_a_ca_bundle_that_is_no_path_is_refused(judge: Judge, ca_file: str) -> None:
    fault = only_fault(judge(ca_file=ca_file))
    assert fault.startswith("smarthost_ca_file: ")


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("smarthost_pasword", "smarthost_password"),
        ("smarthost_passwrod", "smarthost_password"),
        ("smarthost_user_name", "smarthost_username"),
        ("smarthost_form", "smarthost_from"),
        ("smarthost_alias", "smarthost_aliases"),
        ("smarthost_parameter", "smarthost_parameters"),
        ("smarthost_Provider", "smarthost_provider"),
        ("smarthost_regoin", "smarthost_region"),
        ("smarthos_username", "smarthost_username"),
        ("smart_host_from", "smarthost_from"),
        ("smarthost__from", "smarthost_from"),
    ],
)
def test_a_misspelt_variable_is_told_with_the_one_that_was_meant(misspelt: str, meant: str) -> None:
    known = [
        f"smarthost_{name}"
        for name in (
            "provider", "region", "host", "port", "tls", "username", "password", "from",
            "aliases", "generic", "parameters", "hostname", "ca_file", "map_type", "rewrite",
        )
    ]  # fmt: skip
    faults = rules.unknown_variables([misspelt, "smarthost_host"], known)
    assert len(faults) == 1
    assert faults[0].startswith(f"{misspelt}: ") and f"Write {meant}," in faults[0]


@pytest.mark.parametrize("own", ["smarthost_vault_password", "smarthost_team", "smarthost_x", "smart", "smtp_port"])
def test_a_variable_of_ones_own_is_left_alone(own: str) -> None:
    assert rules.unknown_variables([own], ["smarthost_password", "smarthost_from"]) == []


# --- Line breaks and control characters -----------------------------------------------------------

BREAKS = ["\n", "\r", "\r\n", "\x85", "\u2028", "\u2029"]
CONTROLS = ["\0", "\t", "\x0b", "\x0c", "\x1b", "\x1c", "\x7f", "\x80", "\x9f"]
PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "provider": lambda bad: {"provider": f"fastmail{bad}"},
    "region": lambda bad: good("mailgun", region=f"eu{bad}"),
    "host": lambda bad: good("custom", host=f"smtp.bobs.org{bad}"),
    "tls": lambda bad: good("custom", tls=f"implicit{bad}"),
    "username": lambda bad: good("custom", username=f"bob{bad}x", from_="nas@bobs.org"),
    "password": lambda bad: good("custom", password=f"T8cW!k2{bad}p#9"),
    "from": lambda bad: good("custom", from_=f"nas@bobs.org{bad}"),
    "from_name": lambda bad: {"from_name": f"n{bad}as"},
    "aliases": lambda bad: {"aliases": {"root": f"a@bobs.org{bad}x"}},
    "aliases, list item": lambda bad: {"aliases": {"root": ["a@bobs.org", f"b@b.org{bad}x"]}},
    "aliases, key": lambda bad: {"aliases": {f"ro{bad}ot": "a@bobs.org"}},
    "generic": lambda bad: {"generic": {"nut": f"a@bobs.org{bad}x"}},
    "generic, key": lambda bad: {"generic": {f"nut{bad}": "a@bobs.org"}},
    "parameters": lambda bad: {"parameters": {"biff": f"no{bad}relayhost = evil"}},
    "parameters, key": lambda bad: {"parameters": {f"biff{bad}x": "no"}},
    "parameters, in a list": lambda bad: {"parameters": {"biff": [{"x": f"no{bad}"}]}},
    "hostname": lambda bad: {"hostname": f"nas.lan{bad}"},
    "ca_file": lambda bad: {"ca_file": f"/etc/ca.pem{bad}"},
    "map_type": lambda bad: {"map_type": f"hash{bad}"},
    "inbox_host": lambda bad: {"inbox_host": f"imap.bobs.org{bad}"},
    "inbox_username": lambda bad: {"inbox_username": f"bob{bad}x", "inbox_password": "T8c"},
    "inbox_password": lambda bad: {"inbox_password": f"T8cW!k2{bad}p#9"},
    "rewrite": lambda bad: {"rewrite": f"all{bad}"},
    "tls_security_level": lambda bad: {"tls_security_level": f"secure{bad}"},
}


@pytest.mark.parametrize("bad", BREAKS + CONTROLS, ids=repr)
@pytest.mark.parametrize("place", PLACES)
def test_a_line_break_or_control_character_is_refused_wherever_it_is(judge: Judge, place: str, bad: str) -> None:
    kind = "a line break" if bad in BREAKS else "a control character"
    variable = place.partition(",")[0]
    faults = judge(**PLACES[place](bad)).faults
    assert any(fault.startswith(f"smarthost_{variable}: has {kind} at position") for fault in faults)
    # The raw character would break the sentence itself.
    assert not any(bad in fault for fault in faults)


def test_a_password_that_was_encrypted_with_its_line_end_gets_a_remedy_that_fits(
    judge: Judge,
) -> None:
    """An inline vault value needs its block sign; the line end came from the pipe into it."""
    fault = only_fault(judge(password=f"{APP_PASSWORD}\n"))
    assert fault.startswith("smarthost_password: has a line break")
    assert "without a block sign" not in fault
    assert "ansible-vault" in fault


@pytest.mark.parametrize("bad", ["\ud800", "\udcff"], ids=ascii)
@pytest.mark.parametrize("place", ["password", "username", "parameters"])
def test_half_a_character_is_refused(judge: Judge, place: str, bad: str) -> None:
    """YAML writes it as an escape; no file can hold it as UTF-8."""
    assert any(place in fault for fault in judge(**PLACES[place](bad)).faults)


# --- All together ---------------------------------------------------------------------------------


def test_all_faults_are_reported_at_once(judge: Judge) -> None:
    verdict = judge(
        username="bob",
        password="",
        port=466,
        from_="root@nas.lan",
        region="eu",
        hostname="nas",
        ca_file="ca.pem",
        generic={"nut": "nut"},
        aliases={"root": "|sh"},
        parameters={"relayhost": "x"},
    )
    named = [fault.partition(":")[0].removeprefix("smarthost_") for fault in verdict.faults]
    assert sorted(named) == sorted(
        ["username", "password", "port", "from", "region", "hostname", "ca_file", "generic", "aliases", "parameters"]
    )


@pytest.mark.parametrize("provider", [*GOOD, "outlook"])
def test_with_nothing_given_everything_missing_is_told(judge: Judge, provider: str) -> None:
    # The first fault of all is enough for a person to see; none may be an exception.
    verdict = judge(**{"provider": provider, "username": None, "password": None})
    assert verdict.faults
    for fault in verdict.faults:
        assert fault.startswith("smarthost_")
        assert fault.endswith(".") and "  " not in fault and "None" not in fault


@settings(max_examples=200)
@given(data=st.data())
def test_no_secret_is_part_of_any_sentence(judge: Judge, data: st.DataObject) -> None:
    provider = data.draw(st.sampled_from([*GOOD, "outlook"]))
    marker = "Zq7\u2603"
    password = data.draw(st.text(max_size=12)) + marker + data.draw(st.text(max_size=12))
    word = st.one_of(st.none(), st.text(max_size=8), st.emails())
    strange = {name: data.draw(word) for name in ("username", "from_", "host", "region")}
    for variables in (GOOD[provider][0] if provider in GOOD else {}, strange):
        verdict = judge(**{**variables, "provider": provider, "password": password})
        sentences = "\n".join(verdict.faults + verdict.warnings)
        assert marker not in sentences and ascii(marker)[1:-1] not in sentences


# --- What is accepted is what lands in the files --------------------------------------------------

# Everything that means something to YAML, Jinja, Postfix or a regular expression.
SIGNS = " \t\n\r\x0b\x1c\x85\xa0\u2028:;#$@[]{}()<>|/\\\"'`=,.%&*?!+-_~^"
NASTY = st.text(st.sampled_from(SIGNS + string.ascii_letters + string.digits + "äß漢"), max_size=16)
ADDRESSES = st.one_of(st.emails(), NASTY.map(lambda text: f"{text}@bobs.org"), NASTY)
USERS = st.one_of(st.sampled_from(["root", "nut", "www-data"]), NASTY)


def _entries(text: str) -> list[str]:
    return [line for line in text.split("\n") if line and not line.startswith("#")]


@given(username=st.one_of(NASTY, st.emails()), password=st.one_of(NASTY, st.text()))
def test_an_accepted_login_is_the_one_line_of_the_password_table(
    judge: Judge, render: Render, username: str, password: str
) -> None:
    variables = good("custom", username=username, password=password, from_="nas@bobs.org")
    verdict = judge(**variables)
    if verdict.faults:
        return
    text = render(verdict)["sasl_passwd"]
    assert len(_entries(text)) == 1
    table = configuration.parse_table(text)
    assert table == {"[smtp.strato.de]:465": f"{username}:{password}"}
    # Postfix takes what stands before the first colon as the name.
    assert table["[smtp.strato.de]:465"].split(":", 1) == [username, password]


@given(host=st.one_of(NASTY, st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True)), port=st.integers())
def test_the_password_is_filed_under_the_very_relayhost(judge: Judge, render: Render, host: str, port: int) -> None:
    verdict = judge(**good("custom", host=host, port=port))
    if verdict.faults:
        return
    files = render(verdict)
    relayhost = configuration.parse_main_cf(files["main.cf"])["relayhost"]
    assert relayhost == f"[{host.lower()}]:{port}"
    assert list(configuration.parse_table(files["sasl_passwd"])) == [relayhost]


@pytest.mark.parametrize(
    ("limit", "warned"), [("20000000", False), ("52428800", False), ("100000000", True), ("0", True)]
)
def test_a_size_limit_above_the_providers_is_warned_of(judge: Judge, limit: str, warned: bool) -> None:
    verdict = judge(parameters={"message_size_limit": limit})
    assert not verdict.faults
    assert ["message_size_limit" in warning for warning in verdict.warnings] == [True] * warned


@given(
    parameters=st.dictionaries(
        st.one_of(
            st.from_regex(r"[A-Za-z0-9_]{1,20}", fullmatch=True),
            st.sampled_from(["biff", "relayhost", "inet_interfaces", "mydestination"]),
            NASTY,
        ),
        st.one_of(NASTY, st.text(), st.booleans(), st.integers()),
        max_size=4,
    ),
    rewrite=st.sampled_from(["local", "all"]),
)
def test_accepted_parameters_are_there_and_no_other_line_of_main_cf_changes(
    judge: Judge, render: Render, parameters: dict[str, Any], rewrite: str
) -> None:
    verdict = judge(parameters=parameters)
    if verdict.faults:
        return
    without = render(judge(), smarthost_rewrite=rewrite)["main.cf"]
    text = render(verdict, smarthost_rewrite=rewrite)["main.cf"]
    base = configuration.parse_main_cf(without)
    found = configuration.parse_main_cf(text)
    assert found == {**base, **verdict.plan["parameters"]}
    assert set(verdict.plan["parameters"]) == set(parameters)
    # Each one once: Postfix warns of a second.
    assert len(_entries(text)) == len(found)


@given(hostname=st.one_of(NASTY, st.from_regex(r"[a-zA-Z0-9.-]{1,20}", fullmatch=True)))
def test_an_accepted_host_name_is_a_single_name(judge: Judge, render: Render, hostname: str) -> None:
    verdict = judge(hostname=hostname, ca_file=None)
    if verdict.faults or not hostname:
        return
    main_cf = configuration.parse_main_cf(render(verdict)["main.cf"])
    assert main_cf["myhostname"] == hostname.lower()
    assert "$" not in main_cf["mydestination"] and "/" not in main_cf["mydestination"]


@pytest.mark.parametrize("local", ["o'brien", "a&b", "a/b", "a|b", "100%", "a$b", "a$$b", "${a}", "{a}"])
def test_every_from_survives_main_cf_and_the_header_checks(judge: Judge, render: Render, local: str) -> None:
    """In both, $ begins a name and $$ is one dollar; after `static:`, a brace would be fatal."""
    sender = f"{local}@bobs.org"
    verdict = judge(from_=sender, rewrite="all", aliases={"root": "bob@bobs.org"})
    if verdict.faults:
        # Then the person has been told.
        assert "smarthost_from" in only_fault(verdict)
        return
    files = render(verdict)
    assert _entries(files["generic"])[-2] == f"/./ {sender}"
    assert _entries(files["header_checks"])[0].endswith(f" REPLACE From: {sender}")


@pytest.mark.parametrize("provider", [name for name in GOOD if "password" in GOOD[name][0]])
def test_a_password_is_in_its_table_and_in_no_other_file(judge: Judge, render: Render, provider: str) -> None:
    verdict = judge(**good(provider))
    password = verdict.secrets["logins"][0]["password"]
    files = render(verdict, smarthost_rewrite="all")
    assert [name for name, text in files.items() if password in text] == ["sasl_passwd"]


def test_a_plan_can_be_shown(judge: Judge) -> None:
    secrets = ["k3j5h6g7f8d9s0a1", "T8c W!k2p#9", "qwhr-tzui-opas-dfgh", "aB3~hidden-value", "ntfy.bobs.org/topic"]
    inbox = {"inbox_host": "imap.bobs.org", "inbox_username": "bob@bobs.org", "inbox_password": secrets[1]}
    family = {"name": "family", "provider": "icloud", "username": "sasha@icloud.com", "password": secrets[2]}
    app = "6731de76-14a6-49ae-97bc-6eba6914391e"
    office = {
        "name": "office", "provider": "microsoft365", "username": "ann@bobs.org", "auth": "oauth",
        "oauth_client_id": app, "oauth_tenant": "bobs.org", "oauth_client_secret": secrets[3],
    }  # fmt: skip
    senders = {"family": ["sasha@icloud.com"], "office": ["ann@bobs.org"]}
    accounts = [{**one, "senders": senders[one["name"]]} for one in (family, office)]
    verdict = judge(accounts=accounts, watch_ntfy=f"https://{secrets[4]}", **inbox)
    assert verdict.faults == []
    assert [secret for secret in secrets if secret not in str(verdict.secrets)] == []
    assert [secret for secret in secrets if secret in str(verdict.plan)] == []


@pytest.mark.parametrize("provider", [name for name in GOOD if "password" in GOOD[name][0]])
def test_a_plan_shows_no_token_that_is_the_login_as_well(judge: Judge, provider: str) -> None:
    verdict = judge(**good(provider))
    assert verdict.secrets["logins"][0]["password"] not in str(verdict.plan)


@pytest.mark.parametrize("provider", GOOD)
def test_the_domains_of_all_addresses_of_a_plan_are_public(judge: Judge, provider: str) -> None:
    verdict = judge(**good(provider, aliases={"root": ["a@A.org", "bob"], "bob": "b@b.org"}))
    domains = rules.public_domains(verdict.plan)
    sender = verdict.plan["accounts"][0]["from"]
    assert domains == {"a.org", "b.org", sender.partition("@")[2].lower()} - {""}


# --- What follows from them -----------------------------------------------------------------------


def test_the_login_is_tried_as_postfix_will_log_in(judge: Judge) -> None:
    assert judge(verify_login="required", tls_security_level="secure").secrets["logins"] == [{
        "id": "", "provider": "fastmail", "host": "smtp.fastmail.com", "port": 465, "tls": "implicit",
        "tls_security_level": "secure", "username": "bob@fastmail.com", "password": "k3j5h6g7f8d9s0a1",
        "sender": "bob@fastmail.com", "recipient": "", "required": True,
    }]  # fmt: skip


def test_all_addresses_of_the_house_are_known_on_the_host(judge: Judge) -> None:
    plan = judge(
        aliases={"root": ["Bob@fastmail.com", "eve@casey.example.net"]}, generic={"nut": "nut@fastmail.com"}
    ).plan
    assert plan["settings"]["recipients"] == ["bob@fastmail.com", "eve@casey.example.net", "nut@fastmail.com"]

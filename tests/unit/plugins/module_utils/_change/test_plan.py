"""What a run is to change, judged from what was seen, and what it says of that."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._change import aliases, host, mailserver, plan
from ansible_collections.homelab.mail.plugins.module_utils._change.errors import Refused
from ansible_collections.homelab.mail.plugins.module_utils._program import services

D = "/etc/postfix"
MAIN_CF = "relayhost = [h.test]:465\nsmtp_sasl_password_maps = texthash:@slot@/sasl_passwd\n"
IN_PLACE = configuration.with_slot(MAIN_CF, D, "a")
TABLES = {"generic": "nas.lan me@h.test\n", "sender": "/x/ y\n", "virtual": "/^root/ me@h.test\n"}
LOGIN = {"id": "", "tls_security_level": "secure"}
WANTED = plan.Wanted(MAIN_CF, TABLES, "[h.test]:465 me:one\n", "/ca", logins=[LOGIN])
RUNS = host.Found(running=True, astray="", enabled=True, outdated={}, begin=[], end=[])
SEEN = plan.Seen(D, IN_PLACE, [], WANTED.texts, [], RUNS, kept=True)
FOREIGN = plan.Seen(D, "relayhost = [old.test]\nsoft_bounce = yes\n", [f"{D}/main.cf"], {}, [], RUNS)


def want(**given: Any) -> plan.Wanted:
    return dataclasses.replace(WANTED, **given)


def seen(*wrong: str, **given: Any) -> plan.Seen:
    return dataclasses.replace(SEEN, wrong=[f"{D}/{name}" for name in wrong], **given)


def test_where_all_is_as_it_should_be_nothing_is_done_or_said() -> None:
    planned = plan.make(WANTED, SEEN)
    assert plan.report(planned) == ([], [], [])
    assert not (planned.restart or planned.runs_anew or planned.new_login or planned.tries_way)


def test_the_tables_to_come_are_in_the_other_folder() -> None:
    planned = plan.make(want(main_cf=MAIN_CF + "biff = no\n"), seen("main.cf"))
    assert planned.slot == "b"
    assert planned.main_cf == configuration.with_slot(MAIN_CF + "biff = no\n", D, "b")
    assert plan.report(planned).actions == ["configured Postfix", "reloaded Postfix"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (want(main_cf=MAIN_CF + "inet_protocols = ipv4\n"), seen("main.cf")),
        (WANTED, seen("smarthost/unfinished")),
        (WANTED, seen("smarthost/b", stale_chroot=True)),
    ],
)
def test_what_a_reload_does_not_do_takes_a_restart(wanted: plan.Wanted, found: plan.Seen) -> None:
    assert plan.report(plan.make(wanted, found)).actions == ["configured Postfix", "restarted Postfix"]


def test_a_stopped_postfix_is_started_with_what_is_to_be_known_of_it() -> None:
    stopped = RUNS._replace(running=False, enabled=False)
    report = plan.report(plan.make(WANTED, seen(found=stopped, note="Not at boot.", timers=False)))
    assert report.actions == ["enabled Postfix at boot", "started Postfix"]
    assert report.warnings[0] == "Not at boot."
    assert "Let something run every minute" in report.warnings[1]


@pytest.mark.parametrize(
    ("wanted", "logs_in", "way"),
    [
        (want(sasl_passwd="[h.test]:465 me:two\n"), True, True),
        (want(tables={**TABLES, "generic": "nas.lan other@h.test\n"}), True, True),
        (want(main_cf=MAIN_CF.replace("465", "587")), True, True),
        (want(main_cf=MAIN_CF + "biff = no\n"), False, True),
        (want(tables={**TABLES, "virtual": "/^root/ other@h.test\n"}), False, False),
    ],
)
def test_the_provider_is_asked_where_the_change_touches_it(wanted: plan.Wanted, logs_in: bool, way: bool) -> None:
    planned = plan.make(wanted, seen("main.cf"))
    assert (planned.new_login, bool(planned.tries_login), bool(planned.tries_way)) == (logs_in, logs_in, way)
    accepted = plan.make(dataclasses.replace(wanted, login_accepted=True), seen("main.cf"))
    assert (accepted.tries_login, bool(accepted.tries_way)) == ([], way)
    unasked = plan.make(dataclasses.replace(wanted, logins=[]), seen("main.cf"))
    assert (unasked.new_login, unasked.tries_login, unasked.tries_way) == (logs_in, [], [])


FAMILY = {"id": "family", "tls_security_level": "secure"}
COPY = "smarthost-family/unix"
SMTP = "smtp unix - - y - - smtp"


def with_account(**given: Any) -> plan.Wanted:
    """The same with a further account."""
    main_cf = MAIN_CF + "smarthost_family_relayhost = [f.test]:587\n"
    tables = {**TABLES, "generic-family": "nas.lan me@f.test\n"}
    wanted = want(main_cf=main_cf, tables=tables, logins=[LOGIN, FAMILY], services={COPY: ""})
    return dataclasses.replace(wanted, **{"passwords": {"sasl_passwd-family": "[f.test]:587 me:one\n"}, **given})


def account_seen(*wrong: str, wanted: plan.Wanted, **given: Any) -> plan.Seen:
    """A host that has that account, as wanted."""
    main_cf = configuration.with_slot(wanted.main_cf, D, "a")
    there = {"texts": wanted.texts, "main_cf": main_cf, "services": [COPY], "copies": [COPY], "smtp": SMTP}
    return seen(*wrong, **{**there, **given})


def test_an_account_that_comes_gets_a_copy_of_the_systems_service_and_its_login_alone_is_tried() -> None:
    planned = plan.make(with_account(), seen("main.cf", smtp=SMTP))
    assert planned.missing[COPY].startswith("smarthost-family unix - - y - - smtp -o relayhost=$smarthost_family_relay")
    assert (planned.tries_login, planned.tries_way) == ([FAMILY], [LOGIN, FAMILY])


def test_a_login_is_tried_where_just_this_account_changes() -> None:
    before = account_seen("main.cf", wanted=with_account())
    ours, others = {"passwords": {"sasl_passwd-family": "new"}}, {"sasl_passwd": "[h.test]:465 me:two\n"}
    assert [plan.make(with_account(**how), before).tries_login for how in (ours, others)] == [[FAMILY], [LOGIN]]
    assert plan.make(with_account(), account_seen(wanted=with_account())).tries_way == []


def test_an_account_that_goes_leaves_nothing_and_its_mail_takes_the_other_way() -> None:
    planned = plan.make(WANTED, account_seen("main.cf", wanted=with_account()))
    assert (planned.surplus, planned.missing, planned.new_login) == ([COPY], {}, True)
    assert plan.report(planned).actions[1] == f"took {COPY} out of master.cf"
    left = account_seen(wanted=WANTED, services=[])
    assert plan.report(plan.make(WANTED, left)).actions == [f"took {COPY} out of master.cf", "restarted Postfix"]


def test_what_waits_for_an_account_that_is_no_longer_its_sender_s_leaves_at_once() -> None:
    before, wanted = ({**TABLES, "relay": f"/^{user}@/ smarthost-family:[x]:587\n"} for user in ("backup", "ups"))
    planned = plan.make(want(tables=wanted), seen("smarthost/a/relay", texts=want(tables=before).texts))
    assert (planned.new_login, planned.tries_login) == (True, [])


def test_mail_that_waits_is_looked_up_in_what_is_new() -> None:
    assert plan.make(WANTED, seen("main.cf")).requeue == {"sender": [], "recipients": []}
    other = want(tables={**TABLES, "sender": "/x/ z\n"})
    assert plan.make(other, seen("main.cf")).requeue == {"sender": ["sender"], "recipients": []}
    other = want(tables={**TABLES, "virtual": "/x/ z\n"})
    assert plan.make(other, seen("main.cf")).requeue == {"sender": [], "recipients": ["virtual"]}
    assert plan.make(WANTED, FOREIGN).requeue == {"sender": ["sender"], "recipients": ["virtual"]}


def test_taking_over_names_what_goes() -> None:
    planned = plan.make(WANTED, FOREIGN)
    assert planned.dropped == ["soft_bounce"]
    assert "Taking over the Postfix of this host: soft_bounce will no longer" in plan.report(planned).warnings[0]
    for known in ({"kept": True}, {"fresh": True}):
        assert plan.make(WANTED, dataclasses.replace(FOREIGN, **known)).dropped == []


def test_a_mail_server_is_taken_over_only_if_that_is_meant() -> None:
    server = dataclasses.replace(
        FOREIGN, main_cf="relay_domains = example.org\n", signs=mailserver.signs({"relay_domains": "example.org"}, [])
    )
    with pytest.raises(Refused, match=r"this host is a mail server: relay_domains is example\.org"):
        plan.make(WANTED, server)
    assert plan.make(want(take_over=True), server).dropped == ["relay_domains"]


def test_users_whose_mail_goes_elsewhere_are_named() -> None:
    before = aliases.Before(aliases={"root": ["old@h.test"]})
    planned = plan.make(
        want(aliases={"root": ["new@h.test"]}, own_names=["nas.lan"]), dataclasses.replace(FOREIGN, recipients=before)
    )
    assert planned.elsewhere.startswith("Taking over nas.lan: Until now mail of root goes to old@h.test;")
    assert plan.make(WANTED, FOREIGN).elsewhere == ""


def test_services_that_are_missing_are_added_and_shown() -> None:
    wanted = want(services={"scache/unix": "scache unix - -", "smtp/inet": "smtp inet n"})
    planned = plan.make(wanted, seen(services=["smtp/inet"]))
    report = plan.report(planned)
    assert planned.missing == {"scache/unix": "scache unix - -"}
    assert report.actions == ["added scache/unix to master.cf", "reloaded Postfix"]
    assert [(item["after_header"], item["after"]) for item in report.diff] == [(f"{D}/master.cf", "scache unix - -\n")]


def test_what_was_tried_and_what_belongs_to_postfix_is_told_in_order() -> None:
    retry = services.retry("/q")
    found = RUNS._replace(enabled=False, outdated={"/x": ("", 0o644)}, begin=[retry], end=[services.watch(5)])
    report = plan.report(plan.make(WANTED, seen("smarthost/a/generic", found=found)), ["logged in at the provider"])
    assert report.actions == [
        "logged in at the provider", "configured Postfix", "enabled Postfix at boot", "installed the program smarthost",
        "let smarthost retry run", "ended smarthost watch", "reloaded Postfix",
    ]  # fmt: skip
    assert [item["before"] for item in report.diff] == [
        f"{D}/smarthost/a/generic: not as it should be\n/x: not as it should be\n"
    ]


def test_a_diff_shows_no_password_and_no_address_to_tell() -> None:
    told = '{"ntfy": "https://ntfy.test/topic-of-mine", "textfile": "/m"}'
    wanted = want(sasl_passwd="[h.test]:465 me:two\n", watch='{"ntfy": "https://ntfy.test/another"}')
    planned = plan.make(wanted, seen("main.cf", texts={**WANTED.texts, configuration.WATCH: told}))
    shown = str(planned.diff)
    assert "me:(the new password)" in shown and "(addresses that are not shown)" in shown
    assert not any(secret in shown for secret in ("me:one", "me:two", "topic-of-mine", "another"))
    assert planned.stale_metrics == "/m/smarthost.prom"


def test_a_login_in_a_main_cf_from_before_is_not_shown() -> None:
    inline = dataclasses.replace(FOREIGN, main_cf="smtp_sasl_password_maps = static:me:secret\n")
    assert "secret" not in str(plan.make(WANTED, inline).diff)


def test_what_is_not_there_yet_is_created_and_not_put_right() -> None:
    outdated = RUNS._replace(outdated={"/x": ("", 0o755), "/y": ("", 0o644)})
    [shown] = plan.report(plan.make(WANTED, seen(found=outdated, lacking={"/x"}))).diff
    assert (shown["before"], shown["after"]) == ("/y: not as it should be\n", "/x: created\n/y: as it should be\n")

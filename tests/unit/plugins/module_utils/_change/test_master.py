"""What a master.cf says against main.cf, from what `postconf -M` lists."""

from __future__ import annotations

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._change import master

MAIN_CF = """\
inet_interfaces = loopback-only
mynetworks = 127.0.0.0/8, [::ffff:127.0.0.0]/104, [::1]/128
header_checks = regexp:/etc/postfix/smarthost/a/foreign_header
relayhost = [h.test]:465
smtp_tls_security_level = secure
smtp_tls_wrappermode = yes
virtual_alias_maps = regexp:/etc/postfix/smarthost/a/virtual
"""
OPEN = MAIN_CF.replace("loopback-only", "all")
SMTPD = "smtp inet n - y - - smtpd"
SMTP = "smtp unix - - y - - smtp"
# Debian's and RHEL's own, with the examples for submission taken in, and amavis as its pages say.
STOCK = f"""\
{SMTPD}
submission inet n       -       y       -       -       smtpd -o syslog_name=postfix/submission \
-o smtpd_tls_security_level=encrypt -o smtpd_client_restrictions=$mua_client_restrictions \
-o smtpd_relay_restrictions=permit_sasl_authenticated,reject -o smtpd_recipient_restrictions=
pickup     unix  n       -       y       60      1       pickup -o content_filter=
cleanup    unix  n       -       y       -       0       cleanup
pre-cleanup unix n       -       y       -       0       cleanup -o virtual_alias_maps=
qmgr       unix  n       -       n       300     1       qmgr
tlsmgr     unix  -       -       y       1000?   1       tlsmgr
rewrite    unix  -       -       y       -       -       trivial-rewrite
bounce     unix  -       -       y       -       0       bounce
defer      unix  -       -       y       -       0       bounce
showq      unix  n       -       y       -       -       showq
error      unix  -       -       y       -       -       error
retry      unix  -       -       y       -       -       error
{SMTP} -o smtp_tls_security_level=$smtp_tls_security_level -o {{smtp_tls_wrappermode=yes}}
relay      unix  -       -       y       -       -       smtp -o syslog_name=${{a?{{b}}:{{c}}}}/$service_name
smtp-amavis unix - - n - 2 smtp -o smtp_data_done_timeout=1200 -o smtp_tls_security_level=none
127.0.0.1:10025 inet n - n - - smtpd -o content_filter= -o mynetworks=127.0.0.0/8,[::1]/128 -o \
receive_override_options=no_header_body_checks,no_unknown_recipient_checks
uucp       unix  -       n       n       -       -       pipe flags=Fqhu user=uucp argv=uux -r -n - $nexthop!rmail
"""


@pytest.mark.parametrize("main_cf", [MAIN_CF, OPEN])
def test_a_distributions_own_services_are_no_fault(main_cf: str) -> None:
    assert master.broken(STOCK, main_cf) == []
    assert master.advice(STOCK, main_cf) == []


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("qmgr", "qmgr/unix='qmgr unix n - n 300 1 qmgr'"),
        ("smtp       unix", "smtp/unix='smtp unix - - n - - smtp'"),
        ("smtp inet", "smtp/inet='smtp inet n - n - - smtpd'"),
    ],
)
def test_a_service_that_mail_needs_is_missed(name: str, cure: str) -> None:
    left = "\n".join(
        line for line in STOCK.splitlines() if not " ".join(line.split()).startswith(" ".join(name.split()))
    )
    [said] = master.broken(left, MAIN_CF)
    assert said.endswith(f"(cure: postconf -M {cure})")


def test_a_service_by_another_spelling_is_not_missed() -> None:
    apple = STOCK.replace("qmgr       unix", "qmgr       fifo").replace(SMTPD, "127.0.0.1:25 inet n - n - 1 postscreen")
    assert master.broken(apple, MAIN_CF) == []


@pytest.mark.parametrize(
    ("line", "cure"),
    [
        (f"{SMTP} -o smtp_tls_security_level=encrypt", "-PX smtp/unix/smtp_tls_security_level"),
        (f"{SMTP} -o smtp_tls_security_level=$level", "-PX smtp/unix/smtp_tls_security_level"),
        (f"{SMTP} -v -o {{smtp_tls_policy_maps=inline:{{ h=may }}}}", "-PX smtp/unix/smtp_tls_policy_maps"),
        (f"{SMTP} -o smtp_use_tls=no", "-PX smtp/unix/smtp_use_tls"),
        (f"{SMTP} -o smtp_sasl_password_maps=hash:/a", "-PX smtp/unix/smtp_sasl_password_maps"),
        ("relay unix - - y - - smtp -o smtp_tls_wrappermode=no", "-PX relay/unix/smtp_tls_wrappermode"),
        ("smtp unix - n n - - pipe flags=F argv=/usr/bin/msmtp", "-F smtp/unix/command=smtp"),
        (f"{SMTP} -o smtp_body_checks=static:IGNORE", "-PX smtp/unix/smtp_body_checks"),
        ("cleanup unix n - y - 0 cleanup -o header_checks=", "-PX cleanup/unix/header_checks"),
        ("cleanup unix n - y - 0 cleanup -o body_checks=static:DISCARD", "-PX cleanup/unix/body_checks"),
        ("pickup unix n - y 60 1 pickup -o content_filter=discard:", "-PX pickup/unix/content_filter"),
        (f"{SMTPD} -o smtpd_sender_restrictions=static:DISCARD", "-PX smtp/inet/smtpd_sender_restrictions"),
        ("rewrite unix - - y - - trivial-rewrite -o relayhost=[x]", "-PX rewrite/unix/relayhost"),
        ("cleanup unix n - y - 0 cleanup -o virtual_alias_maps=", "-PX cleanup/unix/virtual_alias_maps"),
        (f"{SMTPD} -o receive_override_options=no_address_mappings", "-PX smtp/inet/receive_override_options"),
        ("192.168.1.2:2525 inet n - y - - smtpd", "'-M#' 192.168.1.2:2525/inet"),
        ("[2001:db8::1]:submission inet n - y - - smtpd", "'-M#' [2001:db8::1]:submission/inet"),
        ("0.0.0.0:smtps inet n - y - - postscreen", "'-M#' 0.0.0.0:smtps/inet"),
    ],
)
def test_what_breaks_a_promise_is_said_with_the_cure(line: str, cure: str) -> None:
    [said] = master.against(line, MAIN_CF)
    assert said.endswith(f"(cure: postconf {cure})")


@pytest.mark.parametrize(
    "option",
    [
        "mynetworks=0.0.0.0/0",
        "smtpd_relay_restrictions=permit",
        "smtpd_recipient_restrictions=permit_mynetworks,permit",
    ],
)
def test_a_service_that_lets_strangers_in_is_said_where_they_get_at_it(option: str) -> None:
    assert master.against(f"2525 inet n - y - - smtpd -o {option}", MAIN_CF) == []
    assert len(master.against(f"2525 inet n - y - - smtpd -o {option}", OPEN)) == 1


def test_a_client_that_logs_under_another_name_is_said() -> None:
    assert "does not see" in master.against(f"{SMTP} -o syslog_name=mailer", MAIN_CF)[0]
    # As distributions have it.
    assert master.against("relay unix - - y - - smtp -o syslog_name=postfix/$service_name", MAIN_CF) == []


def test_a_service_for_some_mail_counts_where_main_cf_leads_there() -> None:
    line = "slow unix - - y - - smtp -o smtp_tls_security_level=may"
    assert master.against(line, MAIN_CF) == []
    for way in ("default_transport = slow", "transport_maps = hash:/t", "transport_maps = inline:{a=slow:}"):
        assert len(master.against(line, MAIN_CF + way)) == 1


def test_an_address_that_main_cf_lets_postfix_listen_on_is_no_fault() -> None:
    own = MAIN_CF.replace("loopback-only", "127.0.0.1, 192.168.1.2")
    assert master.against("192.168.1.2:2525 inet n - y - - smtpd", own) == []
    assert master.against("[::1]:2525 inet n - y - - smtpd", own) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{SMTPD} -o content_filter=scan:[127.0.0.1]:10024", "passes that first"),
        (f"{SMTPD} -o content_filter=scan: -o receive_override_options=no_address_mappings", "passes that first"),
        (f"{SMTP} -o smtp_bind_address=192.168.1.2", "by that address alone"),
    ],
)
def test_what_changes_the_way_alone_is_named(line: str, said: str) -> None:
    assert master.against(line, MAIN_CF) == []
    assert said in master.advice(line, MAIN_CF)[0]


def test_a_login_is_not_shown() -> None:
    [said] = master.against(f"{SMTP} -o smtp_sasl_password_maps=static:me:s3cret", MAIN_CF)
    assert "smtp/unix has smtp_sasl_password_maps = (a login that is not shown), so" in said

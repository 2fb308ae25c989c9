"""What people wrote long ago, in whatever encoding."""

from __future__ import annotations

import testinfra
from conftest import LAB, MAIN_CF, NAME, changed, run, said

OLD = r"# caf\351\nmyhostname = nas.lan\ninet_interfaces = loopback-only\nsmtpd_banner = gr\374n\n"
SERVICE = r"gr\374n unix - - n - - pipe\n  user=nobody argv=/bin/gr\374n\n"


def test_a_configuration_that_is_no_utf_8_is_taken_over_and_given_back() -> None:
    host = testinfra.get_host(f"podman://{LAB}-{NAME}")
    host.run_expect([0], "cp -a /etc/postfix /root/aside && rm -r /etc/postfix/smarthost")
    host.run_expect([0], f"printf '{OLD}' >{MAIN_CF} && printf '{SERVICE}' >>/etc/postfix/master.cf")
    before = host.check_output(f"sha256sum {MAIN_CF}")
    try:
        done = run("--diff")
        assert changed(done) == 1
        assert "-smtpd_banner = gr?n" in said(done)
        assert changed(run(smarthost_state="absent")) == 1
        assert host.check_output(f"sha256sum {MAIN_CF}") == before
    finally:
        host.run_expect([0], "rm -r /etc/postfix && cp -a /root/aside /etc/postfix && rm -r /root/aside")
        assert changed(run()) == 1

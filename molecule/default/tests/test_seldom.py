"""What few hosts have had done to them, and is given back all the same."""

from __future__ import annotations

import testinfra
from conftest import LAB, NAME, Change, Mail, changed, run, said
from test_found import APT, bare  # noqa: F401 (a fixture)
from testinfra.host import Host

from workshop.lab.provider import Provider


def test_what_is_left_of_the_role_goes_although_a_person_has_removed_postfix(
    bare: tuple[Host, str],  # noqa: F811  # pytest gives the imported fixture by this name
) -> None:
    host, inventory = bare
    # However the package went, the role's own goes with absent.
    assert changed(run(inventory, limit="fresh"), "fresh") == 2
    host.run_expect([0], "apt-get -qq remove postfix")
    assert changed(run(inventory, limit="fresh", smarthost_state="absent"), "fresh") == 1
    for path in ("/etc/postfix/smarthost", "/usr/local/bin/smarthost", "/etc/systemd/system/smarthost-retry.timer"):
        assert not host.file(path).exists, path


# A host like RHEL, emulated: Debian's own program for alternatives takes the same words.
ANOTHER_SENDMAIL = r"""
cd /usr/sbin; mv sendmail sendmail.postfix; ln -s /usr/bin/update-alternatives alternatives
printf '#!/bin/sh\necho "$0 $*: $(cat)" >>/run/taken\n' >sendmail.other; chmod +x sendmail.other
printf '#!/bin/sh\n[ ! -e /run/waits ] || echo " 3m  1.2K 1tabcd-000abc-2x <root>"\n' >mailq.other; chmod +x mailq.other
mv /usr/bin/mailq mailq.postfix
for each in postfix:60 other:90; do
    alternatives --install /usr/sbin/sendmail mta /usr/sbin/sendmail.${each%:*} ${each#*:} \
        --slave /usr/bin/mailq mta-mailq /usr/sbin/mailq.${each%:*}
done
cat >/etc/systemd/system/other.service <<'END'
[Service]
ExecStart=python3 -m http.server --bind 127.0.0.1 25
[Install]
WantedBy=multi-user.target
END
systemctl disable --now postfix; systemctl enable --now other
"""


def test_where_several_mailers_are_installed_programs_reach_postfix_and_later_the_other_again(
    bare: tuple[Host, str],  # noqa: F811  # as above
    provider: Provider,
) -> None:
    host, inventory = bare
    host.run_expect([0], f"{APT} postfix libsasl2-modules && {ANOTHER_SENDMAIL}")
    host.run_expect([0], "touch /run/waits")
    before = host.check_output("alternatives --display mta")
    told = run("--check", inventory, limit="fresh")
    assert told.returncode != 0
    assert "Nothing was changed: 1 mail would stay behind in the queue of /usr/sbin/sendmail.other" in said(told)
    host.run_expect([0], "rm /run/waits")

    told = run(inventory, limit="fresh")
    assert changed(told, "fresh") == 1
    assert "Postfix takes the place of /usr/sbin/sendmail.other as what programs send with" in said(told)
    assert Mail(host).arrived(provider)
    assert not host.file("/run/taken").exists
    assert changed(run(inventory, limit="fresh"), "fresh") == 0

    assert changed(run(inventory, limit="fresh", smarthost_state="absent"), "fresh") == 1
    assert host.check_output("alternatives --display mta") == before
    assert host.service("other").is_running and host.service("other").is_enabled
    assert not host.service("postfix").is_enabled


def test_a_sendmail_that_is_not_postfix_s_is_refused_with_the_remedy(usual: Change) -> None:
    host = testinfra.get_host(f"podman://{LAB}-{NAME}")
    # As guides to other mailers have it.
    host.run_expect([0], "cd /usr/sbin; mv sendmail kept; ln -s /run/msmtp sendmail; cp /usr/bin/true /run/msmtp")
    done = run(smarthost_parameters={"delay_warning_time": "4h"})
    host.run_expect([0], "mv /usr/sbin/kept /usr/sbin/sendmail")
    assert done.returncode != 0
    assert "Nothing was changed: Postfix does not send mail with this configuration: what programs hand in" in said(
        done
    )
    assert "/run/msmtp is not its own: install Postfix' package again" in said(done)

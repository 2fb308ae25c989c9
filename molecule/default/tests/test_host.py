"""What a host is after site.yml: as Postfix itself reads it, and as the network sees it."""

from __future__ import annotations

import re

from testinfra.host import Host

PASSWORD = "q7w2e9r4t6y1u8i3"


def value(host: Host, parameter: str) -> str:
    """A parameter as Postfix understands it."""
    return str(host.check_output(f"postconf -xh {parameter}"))


def test_postfix_reads_its_configuration_without_a_warning(host: Host) -> None:
    for command in ("postconf -n", "postconf -M", "postfix check"):
        done = host.run(command)
        assert (done.rc, done.stderr) == (0, ""), command


def test_mail_goes_to_the_relay_on_the_chosen_port(host: Host, variables: dict[str, object]) -> None:
    port = variables.get("smarthost_port", 465)
    assert value(host, "relayhost") == f"[smtp.fastmail.com]:{port}"
    assert value(host, "smtp_tls_wrappermode") == ("yes" if port == 465 else "no")


def test_the_relay_is_verified_before_it_gets_the_password(host: Host) -> None:
    assert value(host, "smtp_tls_security_level") == "secure"
    assert value(host, "smtp_tls_CAfile") == "/etc/ssl/certs/ca-certificates.crt"
    assert host.file(value(host, "smtp_tls_CAfile")).exists
    assert value(host, "smtp_sasl_security_options") == "noanonymous, noplaintext"


def test_the_limits_are_the_providers(host: Host) -> None:
    assert value(host, "message_size_limit") == "52428800"
    assert value(host, "smtp_destination_concurrency_limit") == "2"


def test_postfix_finds_the_login_under_the_relays_name(host: Host) -> None:
    login = host.check_output(f"postmap -q '{value(host, 'relayhost')}' {value(host, 'smtp_sasl_password_maps')}")
    # The spaces that the provider shows for the eye are not part of the password.
    assert login == f"casey@fastmail.com:{PASSWORD}"


def test_the_password_is_in_files_that_only_root_reads(host: Host, variables: dict[str, object]) -> None:
    places = host.run(f"grep -rlsF {PASSWORD} / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev").stdout.split()
    table = value(host, "smtp_sasl_password_maps").partition(":")[2]
    compiled = variables.get("smarthost_map_type", "texthash") != "texthash"
    assert sorted(places) == [table, table + ".db"][: 1 + compiled]
    for place in places:
        file = host.file(place)
        assert (file.user, file.group, file.mode) == ("root", "root", 0o600), place


def test_the_other_files_are_readable_and_roots(host: Host) -> None:
    for path in ("/etc/postfix/main.cf", value(host, "smtp_generic_maps").partition(":")[2]):
        file = host.file(path)
        assert (file.user, file.group, file.mode) == ("root", "root", 0o644), path


def test_postfix_runs_and_will_after_a_reboot(host: Host) -> None:
    assert host.service("postfix").is_enabled
    assert host.service("postfix").is_running
    assert host.run("postfix status").rc == 0


def test_nothing_listens_but_postfix_on_loopback(host: Host) -> None:
    sockets = re.findall(r"LISTEN\s+\d+\s+\d+\s+(\S+)", host.check_output("ss -Htln"))
    assert sorted(sockets) == ["127.0.0.1:25", "[::1]:25"]


def test_the_main_cf_from_before_is_kept_for_root_alone(host: Host) -> None:
    kept = host.file("/etc/postfix/smarthost/original/main.cf")
    assert kept.exists and kept.mode == 0o600
    assert not kept.contains("homelab.mail.smarthost")

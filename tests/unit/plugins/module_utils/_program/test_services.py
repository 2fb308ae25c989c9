"""Whether the jobs beside Postfix run, by what their manager says."""

from __future__ import annotations

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._program import managers, services, smarthost

TIMER = "Result=success\nSubState=waiting\nUnitFileState=enabled\nNeedDaemonReload=no\n"
SERVICE = "Result=success\nSubState=dead\nUnitFileState=static\nNeedDaemonReload=no\n"


def systemd(timer: str = TIMER, service: str = SERVICE) -> list[str]:
    """The jobs of a host that systemd says this of."""
    return services.idle(managers.manager("systemd", lambda *_argv: (0, f"{timer}\n{service}", "")))


@pytest.mark.parametrize("timer", [TIMER, TIMER.replace("waiting", "running")])
def test_a_timer_that_will_fire_is_well(timer: str) -> None:
    assert systemd(timer) == []


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("waiting", "elapsed"), ("waiting", "dead"), ("enabled", "disabled"), ("enabled", "masked"),
        ("Reload=no", "Reload=yes"), ("success", "resources"),
    ],
)  # fmt: skip
def test_a_timer_that_will_not_fire_is_told(was: str, becomes: str) -> None:
    [told] = systemd(TIMER.replace(was, becomes))
    assert told.startswith("smarthost retry does not do its work: its timer does not run as it should (see systemctl ")
    assert told.endswith("Run the playbook again.")


def test_every_job_that_a_host_has_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services.os.path, "lexists", lambda path: "retry" not in path)
    assert [told.split()[1] for told in systemd("", "")] == ["retry", "watch", "renew"]


def test_a_systemd_that_says_nothing_is_no_proof_of_a_timer() -> None:
    assert len(systemd("", "")) == 1


@pytest.mark.parametrize("result", ["signal", "oom-kill", "exit-code", "timeout"])
def test_a_job_that_was_killed_is_told(result: str) -> None:
    [told] = systemd(service=SERVICE.replace("success", result))
    assert "it was ended before it was through, or failed (see journalctl --unit=smarthost-retry.service)" in told


def test_a_cron_that_does_not_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services.ServiceManager, "schedule", lambda _self, _job: {"/etc/cron.d/x": ""})
    running = ["/proc/1/comm"]
    monkeypatch.setattr(services.glob, "glob", lambda _pattern: running)
    monkeypatch.setattr(services, "_comm", lambda path: "crond" if path == "/proc/7/comm" else "init")
    [told] = services.idle(managers.manager("openrc", lambda *_argv: (0, "", "")))
    assert told == "smarthost retry does not do its work: cron does not run. Start cron, and let it start at boot."
    running.append("/proc/7/comm")
    assert services.idle(managers.manager("openrc", lambda *_argv: (0, "", ""))) == []


@pytest.mark.parametrize("command", ["retry", "watch"])
def test_a_job_that_hangs_is_not_the_last(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(smarthost.signal, "alarm", given.append)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert smarthost.main([command]) == 2
    assert given == [smarthost.HUNG_SECONDS]

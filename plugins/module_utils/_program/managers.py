"""The service managers that the role can speak to. Runs on the managed host."""

from __future__ import annotations

import os

from ansible_collections.homelab.mail.plugins.module_utils._program import services
from ansible_collections.homelab.mail.plugins.module_utils._program.launchd import Launchd
from ansible_collections.homelab.mail.plugins.module_utils._program.systemd import Systemd


class NoManager(services.ServiceManager):
    """No service manager, as in many containers: Postfix runs until the host is restarted."""

    note = (
        "This host has no service manager that the role knows (systemd, OpenRC, launchd), so Postfix was started, but "
        "nothing starts it when the host is restarted. Let what starts the host run: postfix start"
    )


class OpenRC(services.ServiceManager):
    """A script of the distribution's in /etc/init.d."""

    def restart(self) -> None:
        # However it was started. The scripts of some systems keep a state of their own, and neither stop nor start what
        # has died meanwhile: zap makes them forget; those of others do not know it.
        self.run("postfix", "stop")
        self.run("rc-service", "postfix", "zap")
        try:
            self.expect("rc-service", "postfix", "start")
        except services.ServiceError as error:
            # The script keeps Postfix' reason to itself.
            _code, _out, reason = self.run("postfix", "check")
            raise services.ServiceError(reason.strip() or str(error)) from error

    def stop(self) -> None:
        self.run("rc-service", "postfix", "stop")

    def enabled(self) -> bool:
        return os.path.lexists("/etc/runlevels/default/postfix")

    def enable(self) -> None:
        self.expect("rc-update", "add", "postfix", "default")

    def disable(self) -> None:
        self.run("rc-update", "del", "postfix", "default")


#: What Ansible calls a service manager -> how it is told.
MANAGERS: dict[str, type[services.ServiceManager]] = {"systemd": Systemd, "openrc": OpenRC, "launchd": Launchd}
# Those that do start services, but that nothing here can speak to.
OTHERS = ("dinit", "runit", "svc")


def known(fact: str) -> str:
    """The service manager that a fact of Ansible's means.

    The fact is the name of process 1 where Ansible does not know that program: in a container it may be anything
    (catatonit, tini, sleep, a shell), and then nothing starts services there.

    >>> known("systemd"), known("tini")
    ('systemd', 'none')
    """
    return fact if fact in MANAGERS else "none"


def manager(name: str, run: services.Run, named_log: str | None = None) -> services.ServiceManager:
    """The service manager of this name; one that is not known is none."""
    return MANAGERS.get(name, NoManager)(run, named_log)

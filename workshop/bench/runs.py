"""A run that changes nothing, and a first run, beside what a play must do at least."""

from __future__ import annotations

from .common import Site, kept, medians, progress, site, spread, table

ROUNDS, FIRST_ROUNDS = 9, 3
# What any role for a daemon does: facts, one package, one service.
FLOOR = [
    {"ansible.builtin.package": {"name": "postfix"}},
    {"ansible.builtin.service": {"name": "postfix", "state": "started", "enabled": True}},
]
PING: list[dict[str, object]] = [{"ansible.builtin.ping": {}}]
# What a host that was updated today has; for both alike.
PREPARE = "apt-get -qq update && apt-get -qq install --download-only --no-install-recommends postfix libsasl2-modules"


def measure() -> str:
    """Both, as tables."""
    with site("runs", {"host": "installed"}) as where:
        where.configure()
        unchanged = [_unchanged(where, "as in ansible.cfg (pipelining)"), _unchanged(where, "without", "false")]
    return _table(unchanged) + "\n" + _first()


def _unchanged(where: Site, name: str, pipelining: str = "true") -> tuple[str, dict[str, list[float]]]:
    progress(f"a run that changes nothing, {name}, {ROUNDS} rounds")
    floor, ping = where.playbook("floor", FLOOR), where.playbook("ping", PING, facts=False)
    rounds: dict[str, list[float]] = {"ping": [], "floor": [], "run": []}
    for _round in range(ROUNDS):
        # In turn, so that whatever else the machine does befalls all.
        rounds["ping"].append(where.seconds("ansible-playbook", ping, ANSIBLE_PIPELINING=pipelining))
        rounds["floor"].append(where.seconds("ansible-playbook", floor, ANSIBLE_PIPELINING=pipelining))
        rounds["run"].append(where.seconds("ansible-playbook", "site.yml", ANSIBLE_PIPELINING=pipelining))
    return name, rounds


def _table(measured: list[tuple[str, dict[str, list[float]]]]) -> str:
    rows = []
    for name, rounds in measured:
        middle = medians(rounds)
        by_floor, by_ping = middle["run"] / middle["floor"], middle["run"] / middle["ping"]
        ratios = [kept(f"{by_floor:.2f}", by_floor <= 1), kept(f"{by_ping:.2f}", by_ping <= 1.4)]
        rows.append([name, spread(rounds["run"]), spread(rounds["floor"]), spread(rounds["ping"]), *ratios])
    return table(
        "A run that changes nothing",
        f"Seconds for one host, medians of {ROUNDS} rounds in turn (least to most). The floor is a play of facts, one "
        "package and one service. Promised: at most 1.0 × the floor and 1.4 × a play of one ping.",
        ["pipelining", "site.yml", "floor", "ping", "× floor", "× ping"],
        rows,
    )


def _first() -> str:
    progress(f"a first run, {FIRST_ROUNDS} rounds")
    rounds: dict[str, list[float]] = {"floor": [], "run": []}
    for _round in range(FIRST_ROUNDS):
        with site("first", {"floor": "trixie", "run": "trixie"}) as where:
            for host in rounds:
                where.on(host, PREPARE)
            floor = where.playbook("floor", FLOOR)
            rounds["floor"].append(where.seconds("ansible-playbook", "--limit=floor", floor))
            rounds["run"].append(where.seconds("ansible-playbook", "--limit=run", "site.yml"))
    middle = medians(rounds)
    ratio = middle["run"] / middle["floor"]
    return table(
        "A first run",
        f"Seconds for a fresh host with package lists and packages cached, medians of {FIRST_ROUNDS} rounds in turn. "
        "The floor installs Postfix and nothing else. Promised: at most 1.15 × the floor.",
        ["site.yml", "floor", "× floor"],
        [[spread(rounds["run"]), spread(rounds["floor"]), kept(f"{ratio:.2f}", ratio <= 1.15)]],
    )

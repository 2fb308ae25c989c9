"""What one more host costs, and playbooks/check.yml."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .common import Site, kept, medians, progress, site, spread, table
from .runs import FLOOR, PING

SIZES = (1, 4, 16, 32)
FORKS = (5, 20)
LIMIT, INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances"), 1024
CHECK_HOSTS, CHECK_ROUNDS = 16, 3


def measure() -> str:
    """Both, as tables; the hosts have their Postfix, so that there are figures within minutes."""
    names = [f"h{number:02}" for number in range(1, max(SIZES) + 1)]
    with _room(), site("fleet", dict.fromkeys(names, "installed")) as where:
        progress(f"configuring {len(names)} hosts")
        where.configure("--forks=20")
        floor = where.playbook("floor", FLOOR)
        seconds: dict[tuple[str, int, int], float] = {}
        for forks in FORKS:
            for size in SIZES:
                progress(f"{size} hosts, {forks} forks")
                limit = f"--limit={','.join(names[:size])}"
                for name, playbook in (("floor", floor), ("site.yml", "site.yml")):
                    seconds[name, forks, size] = where.seconds("ansible-playbook", limit, f"--forks={forks}", playbook)
        check = _check(where, names[:CHECK_HOSTS])
    return _table(seconds) + "\n" + check


@contextmanager
def _room() -> Iterator[None]:
    """Let so many systemds watch their files; the machine's own limit holds again afterwards."""
    before = LIMIT.read_text()
    try:
        if int(before) < INSTANCES:
            LIMIT.write_text(str(INSTANCES))
        yield
    finally:
        if LIMIT.read_text() != before:
            LIMIT.write_text(before)


def _table(seconds: dict[tuple[str, int, int], float]) -> str:
    rows: list[list[object]] = []
    for forks in FORKS:
        each = {}
        for name in ("site.yml", "floor"):
            figures = [seconds[name, forks, size] for size in SIZES]
            each[name] = (figures[-1] - figures[0]) / (SIZES[-1] - SIZES[0])
            rows.append([name, forks, *(f"{figure:.1f}" for figure in figures), f"{each[name]:.2f}"])
        ratio = each["site.yml"] / each["floor"]
        rows[-2].append(kept(f"{ratio:.2f}", ratio <= 0.5))
        rows[-1].append("")
    return table(
        "The fleet",
        "Seconds of a run that changes nothing, one round. The floor is a play of facts, one package and one service. "
        "Promised: a further host costs at most 0.5 × what it costs there.",
        ["play", "forks", *(f"{size} hosts" for size in SIZES), "each further host", "× floor"],
        rows,
    )


def _check(where: Site, names: list[str]) -> str:
    limit = f"--limit={','.join(names)}"
    progress(f"check.yml on {len(names)} hosts, {CHECK_ROUNDS} rounds")
    ping = where.playbook("ping", PING, facts=False)
    rounds: dict[str, list[float]] = {"ping": [], "check": []}
    for _round in range(CHECK_ROUNDS):
        rounds["ping"].append(where.seconds("ansible-playbook", limit, "--forks=20", ping))
        rounds["check"].append(where.seconds("ansible-playbook", limit, "--forks=20", "playbooks/check.yml"))
    middle = medians(rounds)
    promise = 2 * middle["ping"] + 1
    ratio = middle["check"] / promise
    return table(
        "playbooks/check.yml",
        f"Seconds for {len(names)} hosts with 20 forks, each with a login at the provider, medians of {CHECK_ROUNDS} "
        "rounds in turn. Promised: at most 2 × ping + 1 s.",
        ["check.yml", "ping", "2 × ping + 1", "ratio"],
        [[spread(rounds["check"]), spread(rounds["ping"]), f"{promise:.1f}", kept(f"{ratio:.2f}", ratio <= 1)]],
    )

"""How the tests on hosts are split over what runs side by side: none is left out."""

from __future__ import annotations

from workshop.checks import jobs

TESTS = {path.stem: path.read_text() for path in (jobs.PROJECT / "molecule/default/tests").glob("test_*.py")}


def of(group: str) -> list[str]:
    return [test for job in jobs.chosen("all") if (job.group, job.scenario) == (group, "default") for test in job.tests]


def test_each_file_of_tests_runs_once_in_make_test_or_in_make_proof_alone() -> None:
    ours = of("molecule")
    assert sorted(ours) == sorted({*ours})
    assert {*ours, *of("proof")} == {*TESTS}


def test_each_long_test_is_in_make_proof() -> None:
    long = {name for name, text in TESTS.items() if "@long" in text}
    proved = {test for job in jobs.chosen("all") if job.group == "proof" and job.long != "no" for test in job.tests}
    assert long and long <= proved
    marked = {
        path.parts[-3] for path in jobs.PROJECT.glob("molecule/*/tests/test_*.py") if "long\n" in path.read_text()
    }
    assert marked <= {job.scenario for job in jobs.chosen("all") if job.group == "proof"}


def test_one_host_that_is_named_runs_all_that_its_scenario_has() -> None:
    [job] = [job for job in jobs.chosen("trixie") if job.scenario == "default"]
    assert {*job.tests} == {*of("molecule")}

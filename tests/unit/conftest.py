"""Fixtures of the unit tests: what tests/rendering.py does, by the names that the tests ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from ansible_collections.homelab.mail.plugins.plugin_utils import rules

# A slow machine is no reason to fail; a failure found once is found again.
settings.register_profile("unit", deadline=None, derandomize=True)
settings.load_profile("unit")


@pytest.fixture(scope="session")
def rendering() -> ModuleType:
    """What the controller does; a host's Python has no Jinja (python -m workshop.checks.pythons)."""
    pytest.importorskip("jinja2", reason="This is the controller's.")
    from tests import rendering  # noqa: PLC0415  # it needs Jinja

    return rendering


@pytest.fixture(scope="session")
def role(rendering: ModuleType) -> Path:
    """The folder of the role."""
    found: Path = rendering.ROLE
    return found


@pytest.fixture(scope="session")
def providers(rendering: ModuleType) -> dict[str, dict[str, Any]]:
    """The presets that the role ships."""
    found: dict[str, dict[str, Any]] = rendering.PROVIDERS
    return found


@pytest.fixture(scope="session")
def judge(rendering: ModuleType) -> Callable[..., rules.Verdict]:
    """Judge variables over those of a good Fastmail host."""
    found: Callable[..., rules.Verdict] = rendering.judge
    return found


@pytest.fixture(scope="session")
def render(rendering: ModuleType) -> Callable[..., dict[str, str]]:
    """Render the role's templates for a plan."""
    found: Callable[..., dict[str, str]] = rendering.render
    return found

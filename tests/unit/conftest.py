"""Fixtures of the unit tests: what tests/rendering.py does, by the names that the tests ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.plugin_utils import rules
from hypothesis import settings

from tests import rendering

# A slow machine is no reason to fail; a failure found once is found again.
settings.register_profile("unit", deadline=None, derandomize=True)
settings.load_profile("unit")


@pytest.fixture(scope="session")
def role() -> Path:
    """The folder of the role."""
    return rendering.ROLE


@pytest.fixture(scope="session")
def providers() -> dict[str, dict[str, Any]]:
    """The presets that the role ships."""
    return rendering.PROVIDERS


@pytest.fixture(scope="session")
def judge() -> Callable[..., rules.Verdict]:
    """Judge variables over those of a good Fastmail host."""
    return rendering.judge


@pytest.fixture(scope="session")
def render() -> Callable[..., dict[str, str]]:
    """Render the role's templates for a plan."""
    return rendering.render

"""How long the properties are looked for, and how often each was tried.

By default the examples are always the same and take about a minute and a half. With
RELUN_PROPERTIES=many they are new each time, and twenty times as many.
"""

import json
import os
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings

from properties.count import TRIED

_ALL_HEALTH = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
_RESULTS = Path(__file__).parents[2] / ".cache" / "results" / "properties.json"

settings.register_profile(
    "few",
    max_examples=100,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=_ALL_HEALTH,
)
settings.register_profile(
    "many",
    max_examples=2000,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=_ALL_HEALTH,
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
settings.load_profile(os.environ.get("RELUN_PROPERTIES", "few"))


def pytest_sessionfinish(session: Any) -> None:
    """Keep the numbers for the final table."""
    if TRIED:
        _RESULTS.parent.mkdir(parents=True, exist_ok=True)
        failed = session.testsfailed
        report = {"examples": dict(sorted(TRIED.items())), "tests_failed_in_run": failed}
        _RESULTS.write_text(json.dumps(report, indent=1) + "\n")

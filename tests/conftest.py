"""What all tests share: the collection importable by its full name, patient property tests, waiting and querying."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import jmespath
import pytest
from ansible.plugins.loader import init_plugin_loader
from hypothesis import HealthCheck, settings

_SUPPORT = Path(__file__).parent / "support"
_COLLECTIONS = Path(__file__).parents[1] / ".build" / "collections"
sys.path.insert(0, str(_SUPPORT))
init_plugin_loader([str(_COLLECTIONS)])

pytest_plugins = ["deployment", "shared_lab"]

# A busy machine is no reason to fail: no time limit for one example, and the same examples in every run.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

T = TypeVar("T")


class WaitFor(Protocol):
    """The type of the fixture `wait_for`."""

    def __call__(self, condition: Callable[[], T], timeout: float = 30.0, why: str = "") -> T:
        """Return the first true result of ``condition``; fail with ``why`` after ``timeout`` seconds."""


@pytest.fixture(scope="session")
def wait_for() -> WaitFor:
    """Polls a condition until it holds: ``wait_for(lambda: …, timeout=30, why="the agent is not Ready")``.

    An AssertionError in the condition counts as not yet; the last one is shown when the time is over.
    """

    def wait(condition: Callable[[], T], timeout: float = 30.0, why: str = "the condition doesn't hold") -> T:
        deadline = time.monotonic() + timeout
        pause = 0.01
        while True:
            result, problem = None, None
            try:
                if result := condition():
                    return result
            except AssertionError as error:
                problem = error
            if time.monotonic() >= deadline:
                shown = f" ({problem})" if problem else f" (last result: {result!r})"
                pytest.fail(f"{why} after {timeout:g} s{shown}")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.25)

    return wait


@pytest.fixture(scope="session")
def query() -> Callable[[Any, str], Any]:
    """Asks an object by a JMESPath expression: ``query(cluster, "status.conditions[?type=='Ready'].status | [0]")``."""
    return lambda subject, expression: jmespath.search(expression, subject)

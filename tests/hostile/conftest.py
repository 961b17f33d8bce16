"""The ground of the attacks, once for all of them and gone after them, as other tests share the lab."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from attacks.ground import Ground, ground
from clusternet_lab import Lab


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def battlefield(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ground]:
    """A parent under attack, with an honest child that is published to all the while."""
    async with ground(lab, tmp_path_factory.mktemp("hostile")) as made:
        yield made

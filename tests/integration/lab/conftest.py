"""Labs of their own, as these tests break them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from clusternet_lab import Lab, labs


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for labs; whatever is still there at the end is taken down."""
    folder = tmp_path_factory.mktemp("labs")
    yield folder
    for left in labs(folder):
        left.down()


@pytest.fixture(scope="module")
def own_lab(home: Path) -> Lab:
    """A lab with one child and two simulated nodes in each cluster."""
    return Lab.up("own", children=1, nodes=2, home=home)

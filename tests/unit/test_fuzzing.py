"""The fuzzer of foreign text runs, reaches every place, and a few inputs of each find nothing."""

import re
import subprocess
import sys
from pathlib import Path

FUZZER = Path(__file__).parents[1] / "fuzz" / "foreign.py"


def test_a_few_inputs_of_every_place() -> None:
    command = [sys.executable, FUZZER, "--seconds=120", "--count=12", "--seed=1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d+ inputs \(\d+ refused\) in \d+ places, no surprise", done.stdout)


def test_a_surprise_names_the_input_that_leads_to_it_again(tmp_path: Path) -> None:
    target = "places.Target('x', lambda chance: chance.random(), lambda made: {}[made])"
    broken = f"import places; places.TARGETS = {{'x': {target}}}"
    program = f"import sys; sys.path.insert(0, {str(FUZZER.parent)!r}); {broken}; import foreign; foreign.main()"
    command = [sys.executable, "-c", program, "--seconds=5", "--seed=7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode != 0
    assert "--target x --seed 7 --count 1" in done.stderr

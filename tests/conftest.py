"""What every test starts from."""

import os
import sys

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a worker a core: more threads would only wait for each other


@pytest.fixture(autouse=True)
def the_same_numbers_in_any_order():
    """Start torch's own stream anew, so that what a test builds does not depend on the tests before it."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)

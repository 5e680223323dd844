"""What every test starts from."""

import sys

import pytest


@pytest.fixture(autouse=True)
def the_same_numbers_in_any_order():
    """Start torch's own stream anew, so that what a test builds does not depend on the tests before it."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)

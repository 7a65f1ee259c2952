"""One local AWS with the application deployed and built, for every function that is run in a container."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.container)
            # The first of them pays for the deployment, and for pulling Lambda's image where it is not there yet.
            item.add_marker(pytest.mark.timeout(600))

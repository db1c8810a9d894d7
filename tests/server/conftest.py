"""One server for the tests that change nothing which others rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.serving import Served, served

if TYPE_CHECKING:
    from openai import OpenAI

__all__ = ["served"]


@pytest.fixture
def client(served: Served) -> OpenAI:
    """The official client of that server."""
    return served.client()

"""The view of Great Expectations' pages, its templates compiled once and not for each page.

Great Expectations imports it by name, as the site in `checks.suites.gate` says.
"""

from __future__ import annotations

from typing import Any

from great_expectations.render.view import DefaultJinjaPageView
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket


class _Compiled(BytecodeCache):
    """Compiled templates in memory, each under the digest of its source."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self.held.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.held[bucket.key, bucket.checksum] = bucket.code


_COMPILED = _Compiled()


class PageView(DefaultJinjaPageView):  # type: ignore[misc]
    """Their page view; only who compiles its templates is ours."""

    def __init__(self, **folders: Any) -> None:
        super().__init__(**folders)
        self.env.bytecode_cache = _COMPILED

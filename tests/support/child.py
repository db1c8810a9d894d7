"""A process of its own that completes prompts into a store, to be killed: `child.py BASE_URL STORE N`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from harness.stages import generate
from harness.store.files import write_atomic
from harness.store.stages import Store
from harness.types import SamplingParams
from tests.support.clients import chat_prompts, model_at


def main(base_url: str, folder: Path, n: int) -> None:
    rows, _ = generate.complete(model_at(base_url, concurrency=16), chat_prompts(n), SamplingParams(), Store(folder))
    lines = [json.dumps([c.example_id, c.text, c.finish_reason, c.error, c.completion_tokens]) for c in rows]
    write_atomic(folder / "final.jsonl", "\n".join(lines))


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    except KeyboardInterrupt:
        sys.exit(130)

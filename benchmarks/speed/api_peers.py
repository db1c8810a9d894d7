"""Other harnesses completing prompts over HTTP, each run by its own interpreter, which times it.

    PYTHON api_peers.py NAME BASE_URL REQUESTS CONNECTIONS     prints the seconds, start-up not counted

Nothing of this project is imported: the peers' environments do not have it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any


async def inspect_ai(url: str, n: int, connections: int) -> float:
    from inspect_ai.model import GenerateConfig, get_model

    config = GenerateConfig(max_connections=connections, max_tokens=16, temperature=0.0)
    model = get_model("openai/gpt-4o", base_url=url, api_key="none", config=config, responses_api=False)
    await model.generate("warm up")
    start = time.perf_counter()
    outputs = await asyncio.gather(*(model.generate(f"question {i}") for i in range(n)))
    seconds = time.perf_counter() - start
    assert all(output.completion for output in outputs)
    return seconds


def lm_eval(url: str, n: int, connections: int) -> float:
    from lm_eval.api.instance import Instance
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    settings: dict[str, Any] = {"tokenizer_backend": None, "tokenized_requests": False, "num_concurrent": connections}
    model = LocalCompletionsAPI(base_url=f"{url}/completions", model="gpt-x", **settings)
    options = {"max_gen_toks": 16, "temperature": 0.0}

    def complete(count: int) -> list[str]:
        rows = [Instance("generate_until", {}, (f"question {i}", dict(options)), i) for i in range(count)]
        return list(model.generate_until(rows, disable_tqdm=True))

    complete(2)
    start = time.perf_counter()
    texts = complete(n)
    seconds = time.perf_counter() - start
    assert len(texts) == n
    assert all(texts)
    return seconds


def main(name: str, url: str, n: int, connections: int) -> None:
    os.environ["OPENAI_API_KEY"] = "none"
    seconds = asyncio.run(inspect_ai(url, n, connections)) if name == "inspect_ai" else lm_eval(url, n, connections)
    print(seconds)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

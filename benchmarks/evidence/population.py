"""The population that the simulations sample from: per-example statistics of real models, without texts.

`population.npz` has the statistics of three stored runs on the same examples, so the simulations need no model and take
minutes. The first two runs are one model sampled with two seeds, which stands for "no change"; the third is the same
model without its last six layers, which is worse. To create the file again:

    python -m harness run -m task.n_validation=512 task.validation_pool=512 generation=sampling tracking=none \
        model=smollm2 generation.seed=0,1 'name=sampled-${generation.seed}' "metrics.names=[METRICS]"
    python -m harness run task.n_validation=512 task.validation_pool=512 generation=sampling tracking=none \
        model=smollm2_24_layers name=worse "metrics.names=[METRICS]"
    python -m benchmarks.evidence.population sampled-0 sampled-1 worse

METRICS are the names of the arrays in the file except `topics`, separated by commas.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness import registry
from harness.errors import StoreError
from harness.protocols import Metric
from harness.store.files import write_atomic
from harness.store.runs import StoredRun, find_runs
from harness.types import FloatArray

FILE = Path(__file__).with_name("population.npz")
SAMPLED, SAMPLED_AGAIN, WORSE = range(3)
"""The systems, in the order of the file."""
SYSTEMS = 3
Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Population:
    """Statistics of all systems by metric, each of shape (N, systems, k), and each example's topic, shape (N,)."""

    stats: Mapping[str, FloatArray]
    topics: NDArray[np.str_]

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics of the statistics, in their order."""
        return tuple(registry.metric(name, {}) for name in self.stats)

    def metric(self, name: str) -> Metric:
        """Return one metric."""
        return next(metric for metric in self.metrics if metric.name == name)

    def __len__(self) -> int:
        return len(self.topics)

    def draw(self, n: int, rng: np.random.Generator) -> Rows:
        """Draw n examples."""
        return rng.integers(0, len(self), n)

    @cache  # noqa: B019 - the population lives as long as the process
    def score(self, name: str, system: int) -> float:
        """Return a system's true score."""
        return float(self.metric(name).aggregate(self.stats[name][:, system].sum(axis=0)))

    @cache  # noqa: B019 - as above
    def per_example(self, name: str) -> FloatArray:
        """Return every example's own score, shape (N, systems)."""
        stats = self.stats[name]
        return self.metric(name).per_example(stats.reshape(-1, stats.shape[-1])).reshape(stats.shape[:2])

    def difference(self, name: str, first: int, second: int) -> float:
        """Return the true difference of two systems."""
        return self.score(name, first) - self.score(name, second)


@cache
def load(path: Path = FILE) -> Population:
    """Read the population."""
    with np.load(path, allow_pickle=False) as archive:
        stats = {name: archive[name].astype(np.float64) for name in archive.files if name != "topics"}
        return Population(stats, archive["topics"])


def of_runs(runs: Sequence[StoredRun]) -> Population:
    """Return the population of stored runs; StoreError if they are not on the same examples or have failures."""
    stored = [run.stats() for run in runs]
    ids = sorted(stored[0].example_ids)
    if any(sorted(run.example_ids) != ids for run in stored):
        raise StoreError("Expected runs on the same examples. Give them equal n_validation and validation_pool.")
    orders = [np.argsort(np.array(run.example_ids)) for run in stored]
    names = [name for name in stored[0].metrics if all(name in run.metrics for run in stored)]
    stats = {
        name: np.stack([run.metrics[name][order] for run, order in zip(stored, orders, strict=True)], axis=1)
        for name in names
    }
    predictions = runs[0].predictions()
    topics = np.array([predictions[i].example.slices["topic"] for i in orders[0]])
    if any(np.isnan(values).any() for values in stats.values()):
        raise StoreError(
            "Expected a completion for every example, got failures. Run again: only these are generated anew."
        )
    return Population(stats, topics)


def save(population: Population, path: Path = FILE) -> None:
    """Write a population, with counts as 16-bit integers and other numbers as 32-bit floats."""
    archive = io.BytesIO()
    packed = {
        name: values.astype(np.int16 if (values == values.astype(np.int16)).all() else np.float32)
        for name, values in population.stats.items()
    }
    np.savez_compressed(archive, allow_pickle=False, topics=population.topics, **packed)
    write_atomic(path, archive.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs=3, metavar="RUN", help="sampled, sampled again, worse: id or name")
    parser.add_argument("--store", type=Path, default=Path(".harness"), help="folder of the store")
    options = parser.parse_args()
    population = of_runs([find_runs(options.store / "runs", [name])[0] for name in options.runs])
    save(population)
    print(f"wrote {FILE.name}: {len(population)} examples, {len(population.stats)} metrics")


if __name__ == "__main__":
    main()

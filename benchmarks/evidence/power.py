"""Is a true loss caught as often as the planner says? And how many examples does that take?

The loss is made of real answers: with a chance that makes the expected loss exactly the one asked for, an example is
answered by the worse model instead of by the same model sampled again.
"""

from __future__ import annotations

import numpy as np

from benchmarks.evidence.population import SAMPLED, SAMPLED_AGAIN, WORSE, Population
from benchmarks.evidence.rates import Case, Happened
from harness.stats.bootstrap import Resampler
from harness.stats.comparison import Comparison
from harness.stats.noninferiority import Outcome, decide
from harness.stats.paired import compare
from harness.stats.power import Plan, pairs_needed

LOSS, PLAN = 0.02, Plan(confidence=0.95, power=0.9)
METRIC = "rougeL"
FRACTIONS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
"""Of the planned n, for the curve."""
PILOT = 100
"""Examples of the small run that a user plans from."""
STEP = 32
"""Numbers planned from pilots are rounded up to a multiple, so that resamples are drawn once for each."""
CAUGHT, FROM_PILOT = "loss caught", "loss caught, n planned from a pilot"
RESAMPLER = Resampler(seed=0, permutations=1)


def loss(population: Population, n: int, rng: np.random.Generator) -> Happened:
    """Say whether n examples show the loss."""
    yield Case(CAUGHT, METRIC, n), _caught(lossy(population, n, rng))


def loss_after_pilot(population: Population, n: int, rng: np.random.Generator) -> Happened:
    """Plan from a pilot of n examples, and say whether the planned examples show the loss."""
    needed = pairs_needed(lossy(population, n, rng).sd_of_difference or 0.0, LOSS, PLAN) or 0
    yield Case(FROM_PILOT, METRIC, n), _caught(lossy(population, -(-needed // STEP) * STEP, rng))


def planned(population: Population) -> int:
    """Return the examples that the planner names for the true deviation of the lossy candidate's differences."""
    values, chance = population.per_example(METRIC), replaced(population)
    squares = [((values[:, each] - values[:, SAMPLED]) ** 2).mean() for each in (SAMPLED_AGAIN, WORSE)]
    variance = (1 - chance) * squares[0] + chance * squares[1] - LOSS**2
    return pairs_needed(float(variance**0.5), LOSS, PLAN) or 0


def replaced(population: Population) -> float:
    """Return the chance of the worse model's answer."""
    same, again, worse = population.per_example(METRIC).mean(axis=0)[[SAMPLED, SAMPLED_AGAIN, WORSE]]
    return float((again - same + LOSS) / (again - worse))


def lossy(population: Population, n: int, rng: np.random.Generator) -> Comparison:
    """Compare a candidate that lost with the baseline."""
    rows, stats = population.draw(n, rng), population.stats[METRIC]
    systems = np.where(rng.random(n) < replaced(population), WORSE, SAMPLED_AGAIN)
    return compare(population.metric(METRIC), stats[rows, systems], stats[rows, SAMPLED], RESAMPLER)


def _caught(found: Comparison) -> bool:
    return decide([found], [True])[0].outcome is Outcome.FAIL

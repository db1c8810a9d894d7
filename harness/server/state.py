"""The parts of one running server, put together once and reached from every request."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from harness.server.batch_worker import BatchRunner, RequestSender
from harness.server.batches import Batches
from harness.server.embeddings import Encoder
from harness.server.engine import Engine
from harness.server.files import Files
from harness.server.models import Catalog
from harness.server.settings import Settings
from harness.server.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Server:
    """Everything behind the routes."""

    settings: Settings
    files: Files
    trainer: Trainer
    catalog: Catalog
    engine: Engine
    encoder: Encoder
    runner: BatchRunner

    def start(self) -> None:
        """Start the threads; unfinished jobs and batches continue."""
        import openai.types.chat
        import openai.types.fine_tuning  # noqa: F401  # here, so that the first answer does not wait for it

        self.engine.start()
        self.trainer.start()
        self.runner.start()

    def stop(self) -> None:
        """Stop the threads; unfinished jobs and batches continue at the next start."""
        self.runner.stop()
        self.trainer.stop()
        self.engine.stop()


def build(settings: Settings) -> Server:
    """Put a server together, with the records in its folder."""
    files = Files(settings)
    trainer = Trainer(settings, files)
    catalog = Catalog(settings, trainer.records)
    engine, encoder = Engine(catalog, settings.limits), Encoder(settings)
    runner = BatchRunner(Batches(settings, files), RequestSender(engine, encoder, settings.limits))
    return Server(settings, files, trainer, catalog, engine, encoder, runner)


def server_of(request: Request) -> Server:
    """Return the server that a request belongs to."""
    server: Server = request.app.state.server
    return server

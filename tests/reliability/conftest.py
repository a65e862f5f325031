"""Services as real processes, with the small models of `tests/deploy`."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.deploy import tables
from tests.deploy.common import Trained
from tests.deploy.conftest import table, trained  # noqa: F401 -- fixtures
from tests.deploy.tables import TrainedTable
from tests.reliability.common import KEYS, RATE, Running
from tests.servers import free_port, running

Starter = Callable[..., AbstractContextManager[Running]]


@pytest.fixture(scope="session")
def start(
    trained: Trained,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Starter:
    """Start the service of images with settings, such as `MAX_READING=6`; or that of tables."""

    @contextmanager
    def started(served: Trained | TrainedTable = trained, **settings: object) -> Iterator[Running]:
        deployment = served.deployment if isinstance(served, Trained) else tables.DEPLOYMENT
        folder, port = tmp_path_factory.mktemp("serve"), free_port()
        temporary = folder / "tmp"
        temporary.mkdir()
        environment = served.environment | {f"SONDA_{k}": str(v) for k, v in settings.items()}
        command = ["deploy/serve.py", "--deployment", deployment, "--port", str(port)]
        log = folder / "serve.log"
        environment |= {"TMPDIR": str(temporary)}
        with running(command, port, "/readyz", environment, log) as server:
            yield Running(server.address, server.pid, log, temporary)

    return started


@pytest.fixture(scope="session")
def plain(start: Starter) -> Iterator[Running]:
    """The service of images as it is by default."""
    with start() as service:
        yield service


@pytest.fixture(scope="session")
def keyed(start: Starter) -> Iterator[Running]:
    """The service of images for those with a key."""
    with start(API_KEYS=KEYS, REQUESTS_PER_MINUTE=RATE, CLOSED="metrics,bentoml") as service:
        yield service


@pytest.fixture(scope="session")
def rows(start: Starter, table: TrainedTable) -> Iterator[Running]:  # noqa: F811
    """The service of tables as it is by default."""
    with start(table) as service:
        yield service

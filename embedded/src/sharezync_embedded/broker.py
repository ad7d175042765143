"""From where a broker comes to something that starts and stops it."""

from pathlib import Path

from sharezync_embedded.provision import ContainerEngine, ExternalBroker, InstalledBroker, Source
from sharezync_embedded.rabbitmq import Broker, DevBroker
from sharezync_embedded.rabbitmq_container import ContainerBroker


class GivenBroker:
    """A broker that somebody else starts and stops: we only know its URL."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.management_url: str | None = None

    def start(self, *, keep: bool = False) -> str:  # noqa: ARG002 - the protocol's
        """Return the URL as it was given; nothing is started."""
        return self._url

    def stop(self, *, force: bool = False) -> bool:  # noqa: ARG002 - the protocol's
        """Leave it running."""
        return False

    def url(self) -> str:
        """Return the URL as it was given."""
        return self._url


def broker_from(source: Source, data_dir: Path, *, durable: bool = True) -> Broker:
    """The broker that `source` yields, with what it keeps under `data_dir`.

    `durable=False`: what it holds may be lost when it stops.
    """
    match source:
        case ExternalBroker(url):
            return GivenBroker(url)
        case InstalledBroker(server):
            return DevBroker(data_dir, server, durable=durable)
        case ContainerEngine(image):
            return ContainerBroker(data_dir, image)

"""The one way in which an upload changes its state: by an act that the table knows."""

from sharezync_shared.contracts.storage import UploadClosed
from sharezync_storage.models import Upload
from sharezync_storage.states import Act, after


def advance(upload: Upload, act: Act) -> None:
    """Bring an upload, its row held by the caller, to its next state.

    Raises UploadClosed where its state refuses the act.
    """
    state = after(upload.state, act)
    if state is None:
        raise UploadClosed(state=upload.state)
    upload.state = state

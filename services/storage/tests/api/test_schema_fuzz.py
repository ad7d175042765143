import pytest

from services.storage.tests.scenes import scenes
from services.storage.tests.support import World
from sharezync_shared.testing.fuzzing import fuzz

# A chunk must have the length of its place, and bring its digest.
UNGUESSABLE = ["PUT /internal/uploads/{upload_id}/chunks/{index}"]


@pytest.mark.timeout(240)
async def test_whatever_comes_is_answered_as_the_document_says(world: World) -> None:
    await fuzz(world.app, scenes(world), always_refused=UNGUESSABLE)

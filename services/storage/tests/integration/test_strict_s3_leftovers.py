"""The same on a server that refuses what a real one refuses."""

from services.storage.tests.integration.test_s3_leftovers import (  # noqa: F401 - run here once more
    test_there_may_be_nothing_to_tidy,
    test_what_was_never_completed_is_aborted_and_what_was_is_only_forgotten,
)
from services.storage.tests.integration.test_strict_s3_store import (  # noqa: F401 - fixtures
    bucket,
    s3,
    store,
)

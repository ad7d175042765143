"""Where the files of an offer lie in what is sent."""

from collections.abc import Sequence

from sharezync_shared.cooperative import cooperatively
from sharezync_shared.names.filenames import clash, clean_path, path_key
from sharezync_shared.problems import Invalid


async def paths_of(names: Sequence[str]) -> list[str]:
    """Return the names, which may have folders before them, as paths that can all be made.

    Others are served meanwhile: an offer may have a thousand files. Raises Invalid.
    """
    paths: list[str] = []
    keys: list[str] = []
    async for name in cooperatively(names):
        try:
            path = clean_path(name)
        except ValueError as error:
            raise Invalid(str(error), file=len(paths)) from error
        paths.append(path)
        keys.append(path_key(path))
    if clashing := clash(keys):
        raise Invalid("Two files can't have the same path, nor one be a folder", files=clashing)
    return paths

"""An S3 server in memory on port 8333, for a machine that cannot pull a real one.

Takes the variables of `weed mini` (S3_BUCKET is made at the start), answers its /healthz and
ignores its arguments, so that docker-compose.yml runs either without knowing which it is. It does
not check signatures: never put it where others can reach it.
"""

import os
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

PORT = 8333


def main() -> None:
    """Make the bucket and serve until the container is stopped."""
    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(os.environ["S3_BUCKET"], "us-east-1")
    s3 = DomainDispatcherApplication(create_backend_app)

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/healthz":
            start_response("200 OK", [("Content-Length", "0")])
            return [b""]
        answer: Iterable[bytes] = s3(environ, start_response)
        return answer

    everywhere = "0.0.0.0"  # noqa: S104 - other containers reach it
    run_simple(everywhere, PORT, serve, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    main()

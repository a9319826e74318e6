"""Serve a project to annotators, and its admin's pages to this machine.

    luab collect serve shop
    luab collect serve shop --host 0.0.0.0 --port 443 --tls-cert chain.pem --tls-key key.pem

Ends with Ctrl-C. Whatever was acknowledged is on disk: after a crash or a power cut, start it again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from luab_collect.server.studio import Studio

PORT = 8000
ADMIN_PORT = 8001
EVERYWHERE = ("0.0.0.0", "::")  # hosts that are no address of a browser


def add_options(options: argparse.ArgumentParser) -> None:
    """The command's options."""
    options.add_argument("project", type=Path, metavar="PROJECT", help="folder that `luab collect init` made")
    options.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at; 0.0.0.0: the whole network (default: %(default)s)",
    )
    options.add_argument("--port", type=int, default=PORT, help="annotators' port (default: %(default)s)")
    options.add_argument(
        "--admin-port",
        type=int,
        default=ADMIN_PORT,
        help="admin's port, on 127.0.0.1 only (default: %(default)s)",
    )
    options.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain (PEM): serve HTTPS")
    options.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key (PEM)")


def run(given: argparse.Namespace) -> int:
    """Serves until a signal.

    Raises:
        SourceError: the project cannot be served.
    """
    from luab_collect.project import Project
    from luab_collect.server.admin import create_admin_app
    from luab_collect.server.app import create_app
    from luab_collect.server.serving import LOOPBACK, Certificate, listen, serve
    from luab_collect.server.studio import Studio
    from luab_collect.store.opening import ProjectStore
    from luab_data.errors import SourceError

    if (given.tls_cert is None) != (given.tls_key is None):
        raise SourceError("--tls-cert and --tls-key go together: the certificate chain and its private key.")
    certificate = None
    if given.tls_cert is not None:
        certificate = Certificate(given.tls_cert, given.tls_key)
        for option, file in (("--tls-cert", given.tls_cert), ("--tls-key", given.tls_key)):
            if not file.is_file():
                raise SourceError(f"{option} is {str(file)!r}, and there is no such file.")
    public = listen(given.host, given.port, "--port")
    private = listen(LOOPBACK, given.admin_port, "--admin-port")
    project = Project.read(given.project)
    studio = Studio(ProjectStore(project))
    scheme = "https" if certificate else "http"
    port, admin_port = public.getsockname()[1], private.getsockname()[1]
    shown = f"[{given.host}]" if ":" in given.host else given.host
    app, admin = create_app(studio, tls=certificate is not None), create_admin_app(studio)
    print(f"annotators: {scheme}://{shown}:{port}/work")
    print(f"admin:      http://{LOOPBACK}:{admin_port}/admin#t={studio.admin_token()}", flush=True)
    if project.platforms.prolific is None and project.platforms.url is None:
        shown = "HOST" if given.host in EVERYWHERE else shown
        print(_how_to_enter(studio, f"{scheme}://{shown}:{port}"), flush=True)
    serve(app, admin, public, private, certificate)
    return 0


def _how_to_enter(studio: Studio, address: str) -> str:
    """Who can enter a project without a platform: people who have a link of their own."""
    from luab_collect.store.people import link_names
    from luab_data.console.text import counted

    with studio.store.reading() as connection:
        number = len(link_names(connection))
    have = {0: "nobody has one yet", 1: "1 person has one"}.get(number, f"{counted(number, 'link')} given")
    folder = studio.project.folder
    return (
        f"links:      each annotator enters with her own; {have}\n"
        f"            luab collect people {folder} add NAME --address {address}"
    )

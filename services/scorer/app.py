"""The scorer's HTTP side: health and metrics, nothing else."""

from collections.abc import Mapping

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from shared import __version__
from shared.http.health import Check, install_health
from shared.http.problems import install_problems


def create_app(registry: CollectorRegistry, checks: Mapping[str, Check]) -> FastAPI:
    """Build the app; `checks` are the round trips of /readyz."""
    app = FastAPI(title="Shouwang scorer", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    install_problems(app)
    install_health(app, registry, checks)
    return app

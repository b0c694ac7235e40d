"""APIs for pages of other origins: CORS, as [cors] allows it."""

from oslo_config import cfg
from oslo_middleware import cors

from nova.http.wsgi import Wsgi


def open_to_browsers(
    application: Wsgi, conf: cfg.ConfigOpts, asked_with: tuple[str, ...], answered_with: tuple[str, ...]
) -> Wsgi:
    """The application for pages of the origins that the operator allows; as it is where that is none.

    asked_with, answered_with: headers that the API cannot do without, beside those of the configuration.
    """
    if not conf.cors.allowed_origin:
        return application
    middleware = cors.CORS(application, conf)
    for origin in middleware.allowed_origins.values():
        origin["allow_headers"] = [*origin["allow_headers"], *asked_with]
        origin["expose_headers"] = [*origin["expose_headers"], *answered_with]
    return middleware

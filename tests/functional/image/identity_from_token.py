"""A filter in Glance's pipeline in the place of keystonemiddleware: a token USER:PROJECT:ROLES says who it is."""


def filter_factory(_global_conf, **_local_conf):
    def wrap(app):
        def identified(environ, start_response):
            user, project, role = environ.get("HTTP_X_AUTH_TOKEN", "::").split(":")
            environ |= {
                "HTTP_X_IDENTITY_STATUS": "Confirmed",
                "HTTP_X_USER_ID": user,
                "HTTP_X_PROJECT_ID": project,
                "HTTP_X_ROLES": role,
            }
            return app(environ, start_response)

        return identified

    return wrap

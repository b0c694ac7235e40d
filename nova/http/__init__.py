"""The one HTTP foundation: what every API of this cloud serves itself with. It knows no API.

From the socket inwards:

    service.py      HttpService, the component of a daemon: one application on one address; listen()
    tls.py          certificates of [wsgi]
    limits.py       how many connections, bytes and seconds a client gets; who is admitted
    acceptor.py     takes connections, a thread for each, and refuses what is too much
    server.py       serves an application to them
    connection.py   one connection: requests read by deadline, answers written
    streaming.py    a request's body that an application reads while it comes
    front.py        the outermost layer of every application: request id, scheme, guard of errors, count
    access_log.py   a line of the log for each request, without secrets
    auth.py         who asks: keystonemiddleware, or noauth2
    body.py         a JSON body with limits of size, depth and content
    policy.py       whether the caller may: oslo.policy with one memo of decisions
    declaration.py, schema.py, view.py, versions.py    an operation, what it takes and what it gives
    health.py       /healthz, /readyz and /metrics
    wsgi.py         the types of WSGI, the request's id and caller in its environ

An API hands in a Fault, which says how it words an error; every layer that has to refuse uses it.
"""

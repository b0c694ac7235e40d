"""How Keystone and Glance are served: one process each, with threads."""

import sys

workers = 1
threads = 16
# An image is uploaded in one request.
timeout = 600
keepalive = 60
control_socket_disable = True

# Both services read the command line of the process they wake up in, and would not understand gunicorn's.
del sys.argv[1:]

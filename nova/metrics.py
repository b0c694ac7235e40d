"""What a daemon counts about itself, in Prometheus' terms.

Counting costs a microsecond and goes on whether anybody asks or not; nova.http.health serves the figures.
"""

from prometheus_client import Counter, Gauge, Histogram

_LATENCY = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_WORK = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800)

HTTP = Histogram("nova_http_request_seconds", "HTTP requests answered", ["method", "status"], buckets=_LATENCY)
CALLS = Histogram("nova_rpc_call_seconds", "Calls answered over the bus", ["method", "outcome"], buckets=_LATENCY)
STEPS = Histogram("nova_step_seconds", "Steps of operations done", ["operation", "step", "outcome"], buckets=_WORK)
TAKEOVERS = Counter("nova_operation_takeovers", "Operations taken over from a conductor that fell silent")
DRIVING = Gauge("nova_operations_driving", "Operations this conductor is working on")
LATE = Gauge("nova_operations_oldest_due_seconds", "How long the operation that waits longest is due")
LEFT = Gauge("nova_operations_left", "Operations that have something left to do behind their point of no return")
DEAF = Gauge("nova_rpc_deaf", "Whether this daemon does not hear itself through its own queue", ["topic"])
